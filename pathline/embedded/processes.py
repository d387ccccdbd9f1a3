"""Child processes that leave nothing behind: started through `launch`, recorded with the time they were created, ended.

A record `run/NAME.pid` holds the process id and its creation time, because ids are used again. The next start reads the
records of the last one and ends what still runs.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pathline.embedded import launch, ports
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit.files import write_whole

CREATED_TOLERANCE_SECONDS = 2.0
"""Creation times are counted from the boot time, which moves by a little when the clock is set."""
POLL_SECONDS = 0.05
WORDS_MAX = 600
"""Characters shown of what a program that failed has said."""
LOG_BYTES_MAX = 32 * 1_048_576
"""A log that has grown past this becomes NAME.log.1 and starts again."""


@dataclass(frozen=True)
class Launch:
    """What to run: program and arguments, its own environment, and how it is asked to end."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    user: tuple[int, int] | None = None
    """(uid, gid) to become; only root may."""
    keep_access: bool = False
    """Let that user pass directories that only root may enter."""

    def command(self) -> list[str]:
        """The command as it is run: through `launch`, bound to this process."""
        user = "-" if self.user is None else f"{self.user[0]}:{self.user[1]}"
        wrapper = [str(Path(launch.__file__)), str(os.getpid()), str(int(self.stop_signal)), user]
        return [sys.executable, "-I", "-S", *wrapper, str(int(self.keep_access)), "--", *self.argv]


class Child:
    """One process of a part, its log and its record. Start it in the main thread: its life is tied to the thread's."""

    def __init__(self, name: str, home: Path) -> None:
        """Log to `home/logs/NAME.log`, record in `home/run/NAME.pid`."""
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._record = home / "run" / f"{name}.pid"
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_signal = signal.SIGTERM
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """How the last process ended: its exit status, minus the signal when one ended it; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self, what: Launch) -> None:
        """Run it. Raises OSError when it cannot be started."""
        self._stop_signal = what.stop_signal
        self.turn_log()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                what.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=what.cwd,
                env={**_plain_environment(), **what.env},
                start_new_session=True,  # so that Ctrl-C reaches `up` alone, which then ends the parts in order
            )
        write_record(self._record, self._process.pid, self._stop_signal)

    async def end(self, wait_seconds: float) -> bool:
        """Ask it to end, wait, then kill it. True when it ended by itself in time."""
        process = self._process
        if process is None:
            return True
        graceful = True
        if self.running:
            process.send_signal(self._stop_signal)
            graceful = await self._ended_within(wait_seconds)
            if not graceful:
                self.kill()
                await self._ended_within(10.0)
        self._record.unlink(missing_ok=True)
        return graceful

    def kill(self) -> None:
        """End it now, with all processes it started."""
        if self._process is None or not self.running:
            return
        # Its children too: PostgreSQL gives each of its own a session, so that no group holds them all.
        family: list[psutil.Process] = []
        with suppress(psutil.Error):
            family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for process in family:
            with suppress(psutil.Error):
                process.kill()

    def turn_log(self) -> None:
        """Keep the log bounded. The process appends, so that the file may be cut under it."""
        if turn_log(self.log):
            self._log_start = 0

    def last_words(self, lines_max: int = 5) -> str:
        """The end of what this process has logged, for the message that says why it ended."""
        return last_words(self.log, lines_max, self._log_start)

    async def _ended_within(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.running and loop.time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
        return not self.running


def run_to_end(what: Launch, wait_seconds: float) -> str | None:
    """Run a program that ends by itself; None when all went well, else its last words. Raises OSError."""
    try:
        done = subprocess.run(
            what.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=what.cwd,
            env={**_plain_environment(), **what.env},
            start_new_session=True,
            check=False,
            timeout=wait_seconds,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {wait_seconds:g} s"
    words = done.stdout.decode("utf-8", "replace").strip()[-WORDS_MAX:]
    return None if done.returncode == 0 else words or f"status {done.returncode}"


def write_record(path: Path, pid: int, stop_signal: signal.Signals) -> None:
    """Record a process; the creation time tells it from a later one with the same id."""
    with suppress(psutil.NoSuchProcess):
        created = psutil.Process(pid).create_time()
        write_whole(path, json.dumps({"pid": pid, "created": created, "stop_signal": int(stop_signal)}), 0o644)


def read_record(path: Path) -> tuple[psutil.Process, signal.Signals] | None:
    """The recorded process and the signal that ends it, when it still runs."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(record["pid"]))
        same = abs(process.create_time() - float(record["created"])) < CREATED_TOLERANCE_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process, signal.Signals(int(record["stop_signal"]))
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        # A record that cannot be read tells of nothing that could be ended safely.
        return None
    return None


def end_left_behind(run: Path, *, wait_seconds: float = 10.0) -> list[str]:
    """End every process that the records in `run` still find; returns their names. Raises TroubleError."""
    left: list[tuple[str, psutil.Process]] = []
    for path in sorted(run.glob("*.pid")):
        found = read_record(path)
        if found is not None:
            process, stop_signal = found
            try:
                process.send_signal(stop_signal)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied as refused:
                raise TroubleError(
                    Code.NOT_ALLOWED,
                    f"{path.stem}, left running by the last start, is {ports.describe(process.pid)} of another user. "
                    "Start as that user, or end it first.",
                ) from refused
            left.append((path.stem, process))
    _gone, alive = psutil.wait_procs([process for _name, process in left], timeout=wait_seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=wait_seconds)
    for path in run.glob("*.pid"):
        path.unlink(missing_ok=True)
    return [name for name, _process in left]


def turn_log(path: Path, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Copy a log that has grown past `bytes_max` to NAME.log.1 and cut it, on a full disk without the copy.

    True when it was cut.
    """
    with suppress(OSError):
        if path.stat().st_size <= bytes_max:
            return False
        copy = path.with_name(path.name + ".1")
        try:
            shutil.copyfile(path, copy)
        except OSError:
            copy.unlink(missing_ok=True)
        os.truncate(path, 0)
        return True
    return False


def last_words(path: Path, lines_max: int = 5, start: int = 0) -> str:
    """The last lines of a log, none from before byte `start`."""
    try:
        with path.open("rb") as log:
            log.seek(max(start, path.stat().st_size - 4_096))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(line[:300] for line in lines[-lines_max:])


def _plain_environment() -> dict[str, str]:
    """This process's environment less what would change how Python or Java start."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "JAVA_TOOL_OPTIONS", "CLASSPATH", "_JAVA_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in dropped}
