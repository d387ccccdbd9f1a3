"""Keeps one part running: starts it, watches it, starts it again when it dies, for ever."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pathline.embedded import home as homes
from pathline.embedded.part import Part
from pathline.embedded.processes import Child
from pathline.embedded.trouble import Code, TroubleError, from_os_error
from pathline.supervisor.backoff import Backoff
from pathline.supervisor.state import PartState, State

LOOK_SECONDS = 0.1
"""How often a child is looked at: what dies is noticed this soon."""
PROBE_STARTING_SECONDS = 0.1
PROBE_READY_SECONDS = 2.0
WAITING_SAID_SECONDS = 15.0
"""A part that is not ready for so long is spoken of, and again each time."""

Say = Callable[[str], None]


class Keeper:
    """One part and its child. `must_start`: an end before it was ever ready raises instead of starting again."""

    def __init__(self, part: Part, home: Path, *, say: Say, must_start: bool = False) -> None:
        """Keep `part`, logging under `home`, telling the person through `say`."""
        self.part = part
        self._home = home
        self.child = Child(part.name, home)
        self.ready_once = asyncio.Event()
        self.restarts = 0
        self._say = say
        self._must_start = must_start
        self._backoff = Backoff()
        self._state: State = "waiting"
        self._reason: str | None = None
        self._started = self._unready_since = 0.0
        self._told = ""

    @property
    def ready(self) -> bool:
        """Whether it was ready when last asked."""
        return self._state == "ready"

    def state(self) -> PartState:
        """How it is, for `status`."""
        return PartState(
            name=self.part.name,
            address=self.part.address,
            pid=self.child.pid,
            state=self._state,
            reason=self._reason,
            log=str(self.child.log),
            restarts=self.restarts,
        )

    async def run(self) -> None:
        """Until cancelled. Raises TroubleError only before it was ever ready."""
        while True:
            try:
                await self._start()
                await self._watch()
                died = self._last_words()
            except (TroubleError, OSError) as problem:
                known = problem if isinstance(problem, TroubleError) else from_os_error(problem, "start it")
                died = str(known)
                if not self.ready_once.is_set() and (self._must_start or known is problem):
                    raise known from problem
            self._set("dead", died)
            if self._must_start and not self.ready_once.is_set():
                code = Code.NO_SPACE if homes.is_full(self._home) else Code.PART_FAILED
                raise TroubleError(code, f"{self.part.name} {died}")
            wait_seconds = self._backoff.next()
            self._say_died(died, wait_seconds)
            await asyncio.sleep(wait_seconds)
            self.restarts += 1

    async def stop(self) -> bool:
        """End the child as it likes to be ended; True when it did so in time. Cancel `run` first."""
        graceful = await self.child.end(self.part.stop_seconds)
        self._set("stopped", None)
        return graceful

    async def _start(self) -> None:
        self._set("starting", None)
        await self.part.prepare()
        self._started = self._unready_since = time.monotonic()
        self.child.start(self.part.launch())

    async def _watch(self) -> None:
        spoken = probed = self._started
        while self.child.running:
            now = time.monotonic()
            if now - probed >= (PROBE_READY_SECONDS if self.ready else PROBE_STARTING_SECONDS):
                self._judge(await self.part.unready())
                probed = time.monotonic()
                self.child.turn_log()
            if self.ready:
                spoken = now
            elif now - spoken >= WAITING_SAID_SECONDS:
                self._say(f"{self.part.name}: not ready yet: {self._reason}")
                spoken = now
            await asyncio.sleep(LOOK_SECONDS)

    def _say_died(self, died: str, wait_seconds: float) -> None:
        # The same words again and again tell nothing: a part that cannot start is spoken of once, then counted.
        # Only how it ended is compared, since its last words begin with the time.
        how = died.partition("\n")[0]
        words = died if how != self._told else f"ended as before, {self.restarts + 1} times by now"
        self._told = how
        self._say(f"{self.part.name}: {words}\n{self.part.name}: starting again in {wait_seconds:g} s")

    def _judge(self, reason: str | None) -> None:
        if reason is not None:
            if self.ready:
                self._unready_since = time.monotonic()
            self._set("not ready" if self.ready_once.is_set() else "starting", reason)
        elif not self.ready:
            self._set("ready", None)
            self._backoff.reset()
            self._told = ""
            self.ready_once.set()
            self._say(
                f"{self.part.name}: ready on {self.part.address} ({time.monotonic() - self._unready_since:.1f} s)"
            )

    def _last_words(self) -> str:
        status = self.child.status
        how = f"ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
        # A killed process had no time for words: the last ones would tell of something else.
        words = "" if status == -signal.SIGKILL else self.child.last_words(3)
        if homes.is_full(self._home):
            how = f"{how}; the disk is full: free some space"
        return f"{how}; log: {self.child.log}" + (f"\n{words}" if words else "")

    def _set(self, state: State, reason: str | None) -> None:
        self._state, self._reason = state, reason
