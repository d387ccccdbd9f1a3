"""`pathline up`: everything on this machine under one foreground process, in order up and in order down."""

import asyncio
import importlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pathline.embedded import home as homes
from pathline.embedded import ports, processes
from pathline.embedded.kafka import EmbeddedKafka
from pathline.embedded.part import Part
from pathline.embedded.postgres import EmbeddedPostgres
from pathline.embedded.trouble import Code, TroubleError, from_os_error
from pathline.kit.files import write_whole
from pathline.kit.settings import DATABASE_URL_RECORD, KAFKA_RECORD, Settings
from pathline.supervisor import credential, state
from pathline.supervisor.greeting import greeting
from pathline.supervisor.keeper import Keeper
from pathline.supervisor.parts import ADDRESS_SETTINGS, SERVICES, RemotePart, ServicePart
from pathline.supervisor.say import Reporter

STOP_ORDER = ("demo", "ingest", "stitcher", "scorer", "console", "kafka", "postgres")
"""First what takes touchpoints, last what holds them: nothing is taken that cannot be stored."""
REMOTE_WAIT_SECONDS = 30.0
STATE_SECONDS = 0.25
ENDED_AT_ONCE = 130


class Supervisor:
    """The parts of one `up`, on a home that this process holds."""

    def __init__(self, settings: Settings, home: Path, say: Reporter, *, demo: bool) -> None:
        """Resolve the addresses; nothing is started yet."""
        self._settings = settings
        self._home = home
        self._say = say
        self._demo = demo
        self._stop = asyncio.Event()
        self._keepers: dict[str, Keeper] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._remote: dict[str, RemotePart] = {}
        self._kafka = ""
        self._dsn = ""
        self._complete = False

    async def __aenter__(self) -> Self:
        """Take the signals."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(name, self._on_signal)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every part, whatever happened."""
        await self._drain()

    async def run(self) -> None:
        """Start all, say so, and keep it running until a signal. Raises TroubleError when it cannot start."""
        stopping = asyncio.create_task(self._stop.wait())
        recording = asyncio.create_task(self._record_state())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
            # Told to stop, a start that fails has failed because of that.
            if not self._stop.is_set():
                working.result()
        finally:
            for task in (stopping, recording, working):
                task.cancel()
            await asyncio.gather(stopping, recording, working, return_exceptions=True)

    async def _work(self) -> None:
        self._check_ports()
        await self._start_servers()
        token = credential.api_token(self._home)
        await self._prepare()
        addresses = await self._start_services()
        self._complete = True
        self._write_state()
        self._say.settle()
        for line in greeting(addresses, token, self._home, demo=self._demo, now_seconds=time.time()):
            self._say.line(line)
        self._say.plain("pathline is ready")
        await _raise_first(self._watches.values())

    def _check_ports(self) -> None:
        """Before a minute of downloads, not after it."""
        for name in self._services():
            setting = ADDRESS_SETTINGS.get(name, name)
            ports.check_free(getattr(self._settings, setting), name, f"PATHLINE_{setting.upper()}")

    async def _prepare(self) -> None:
        from pathline.supervisor import first_run

        version = await first_run.prepare_database(self._dsn, demo=self._demo)
        self._say.line(f"database: at version {version}")
        await first_run.check_cluster(self._dsn, self._kafka)
        made = await first_run.prepare_topics(
            self._kafka,
            prefix=self._settings.topic_prefix,
            partitions=self._settings.partitions,
            replicas=self._settings.replicas,
        )
        self._say.line(f"topics: {f'{len(made)} made' if made else 'as they should be'}")

    async def _start_servers(self) -> None:
        own: list[Part] = []
        if self._settings.kafka is None:
            port, cache = self._settings.kafka_port, homes.cache_directory()
            own.append(EmbeddedKafka(self._home, port=port, cache=cache, progress=self._progress))
        else:
            self._kafka = self._settings.kafka
            self._remote["kafka"] = RemotePart("kafka", self._kafka)
        if self._settings.database_url is None:
            postgres = EmbeddedPostgres(self._home)
            own.append(postgres)
            self._dsn = postgres.dsn()
        else:
            self._dsn = self._settings.dsn()
            self._remote["postgres"] = RemotePart("postgres", self._dsn)
        self._say.now("Starting Kafka and PostgreSQL")
        await asyncio.gather(
            self._keep(own, must_start=True),
            *map(self._wait_for, self._remote.values()),
            # What migrates takes a second to import: while the servers start, not before.
            asyncio.to_thread(importlib.import_module, "pathline.supervisor.first_run"),
        )
        if self._settings.kafka is None:
            self._kafka = self._keepers["kafka"].part.address
        # For the other commands on this home, also when the servers are somebody else's.
        write_whole(self._home / DATABASE_URL_RECORD, self._dsn + "\n")
        write_whole(self._home / KAFKA_RECORD, self._kafka + "\n", 0o644)

    def _services(self) -> tuple[str, ...]:
        return (*SERVICES, *(("demo",) if self._demo else ()))

    async def _start_services(self) -> dict[str, str]:
        names = self._services()
        settings = {name: ADDRESS_SETTINGS.get(name, name) for name in names}
        addresses = {name: ports.resolve(getattr(self._settings, setting)) for name, setting in settings.items()}
        env = {
            "PATHLINE_HOME": str(self._home),
            "PATHLINE_KAFKA": self._kafka,
            "PATHLINE_DATABASE_URL": self._dsn,
            **{f"PATHLINE_{setting.upper()}": addresses[name] for name, setting in settings.items()},
        }
        parts = [
            ServicePart(
                name,
                address=addresses[name],
                variable=f"PATHLINE_{settings[name].upper()}",
                home=self._home,
                env=env,
            )
            for name in names
        ]
        self._say.now("Starting the services")
        await self._keep(parts)
        return addresses

    async def _keep(self, parts: Sequence[Part], *, must_start: bool = False) -> None:
        """Start keeping `parts` and wait until each was ready once."""
        for part in parts:
            keeper = Keeper(part, self._home, say=self._say.line, must_start=must_start)
            self._keepers[part.name] = keeper
            self._watches[part.name] = asyncio.create_task(keeper.run(), name=part.name)
        ready = asyncio.create_task(self._all_ready(parts))
        try:
            await _raise_first([ready, *self._watches.values()])
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    async def _all_ready(self, parts: Sequence[Part]) -> None:
        for part in parts:
            await self._keepers[part.name].ready_once.wait()

    async def _wait_for(self, part: RemotePart) -> None:
        deadline = time.monotonic() + REMOTE_WAIT_SECONDS
        while reason := await part.unready():
            if time.monotonic() > deadline:
                variable = "PATHLINE_KAFKA" if part.name == "kafka" else "PATHLINE_DATABASE_URL"
                raise TroubleError(
                    Code.NOT_REACHABLE,
                    f"The {part.name} at {part.address} cannot be used: {reason}. "
                    f"Start it, or take {variable} away to use the embedded one.",
                )
            await asyncio.sleep(0.5)
        self._say.line(f"{part.name}: using the one at {part.address}")
        self._watches[part.name] = asyncio.create_task(part.watch(self._say.line), name=part.name)

    def _progress(self, done: int, files: int, bytes_done: int) -> None:
        if self._stop.is_set():
            raise TroubleError(Code.NO_NETWORK, "The download was stopped.")
        self._say.download(done, files, bytes_done)

    def _on_signal(self) -> None:
        if not self._stop.is_set():
            self._say.line("stopping: each part finishes what it has taken (once more: end at once)")
            self._stop.set()
            return
        for keeper in self._keepers.values():
            keeper.child.kill()
        os._exit(ENDED_AT_ONCE)

    async def _drain(self) -> None:
        self._complete = False
        for name in STOP_ORDER:
            if name in self._keepers:
                self._watches[name].cancel()
                await asyncio.gather(self._watches[name], return_exceptions=True)
                if not await self._keepers[name].stop():
                    self._say.line(f"{name}: did not end in time and was killed")
                self._write_state()
        for name in self._remote.keys() & self._watches.keys():
            self._watches[name].cancel()
            await asyncio.gather(self._watches[name], return_exceptions=True)
        for record in (DATABASE_URL_RECORD, KAFKA_RECORD, "run/state.json"):
            with suppress(OSError):
                (self._home / record).unlink(missing_ok=True)

    async def _record_state(self) -> None:
        last: state.Snapshot | None = None
        while True:
            last = self._write_state(last)
            await asyncio.sleep(STATE_SECONDS)

    def _write_state(self, last: state.Snapshot | None = None) -> state.Snapshot:
        parts: list[RemotePart | Keeper] = [*self._remote.values(), *self._keepers.values()]
        snapshot = state.Snapshot(
            supervisor=os.getpid(),
            ready=self._complete and all(part.ready for part in parts),
            parts=tuple(part.state() for part in parts),
            kafka=self._kafka or None,
            demo=self._demo,
        )
        if snapshot != last:
            # A full disk must not end what still works; `status` then shows the last state it could write.
            with suppress(OSError):
                state.write(self._home, snapshot)
        return snapshot


async def _raise_first(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait for the first of `tasks` to end; raise what ended it."""
    done, _running = await asyncio.wait(list(tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def up(settings: Settings, *, demo: bool) -> None:
    """Run until SIGTERM or Ctrl-C. Raises TroubleError when it cannot start."""
    try:
        home = homes.prepare(settings.home)
        with homes.hold(home), Reporter() as say:
            say.line(f"Pathline, at home in {home}")
            for name in processes.end_left_behind(home / "run"):
                say.line(f"{name}: left running by the last start, ended")
            asyncio.run(_run(settings, home, say, demo=demo))
            say.line("stopped")
    except OSError as problem:
        raise from_os_error(problem, f"work in {settings.home}") from problem


async def _run(settings: Settings, home: Path, say: Reporter, *, demo: bool) -> None:
    async with Supervisor(settings, home, say, demo=demo) as supervisor:
        await supervisor.run()
