"""`pathline import`: history from files of Segment calls. Journeys are built, nobody is alerted."""

import asyncio
import math
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pathline.commands.trouble import about_file
from pathline.embedded import home as homes
from pathline.kit.settings import Settings, join_address, split_address
from pathline.sending import lines
from pathline.sending.client import Collector, RefusedError, UnreachableError
from pathline.sending.importing import Importer, Outcome, Rejected
from pathline.sending.progress import Position
from pathline.sending.progress import Progress as Kept
from pathline.supervisor import state
from pathline.supervisor.parts import loopback_of

SOME_REFUSED = 1
FAILED = 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="import", rich_help_panel="Data")(import_files)


def import_files(
    files: Annotated[list[str], typer.Argument(help="NDJSON of Segment calls, plain or gzipped; - is standard input.")],
    *,
    key: Annotated[str, typer.Option(help="A write key of a server.", envvar="PATHLINE_WRITE_KEY")] = "demo",
    collector: Annotated[
        str | None, typer.Option(help="http://host:port of the collector; without it, the one that runs here.")
    ] = None,
    rejects: Annotated[
        str | None, typer.Option(help="Write the lines refused here, as NDJSON of file, line, code, message; - prints.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="From the beginning, whatever was sent before.")] = False,
    patience: Annotated[float, typer.Option(min=1, help="Seconds for which one batch is tried again.")] = 600.0,
) -> None:
    """Send files as history: journeys are built, nobody is alerted. Stopped, it goes on from where it was."""
    settings = Settings.load()
    base = (collector or collector_of(settings)).rstrip("/")
    kept = Kept(settings.home, base.removeprefix("http://"), blake2b(key.encode(), digest_size=6).hexdigest())
    say = Console(stderr=True, soft_wrap=True)
    try:
        with _rejects(rejects, say) as on_reject:
            outcomes = asyncio.run(
                _run(files, base, key, kept, on_reject=on_reject, say=say, restart=restart, patience=patience)
            )
    except OSError as problem:
        say.print(f"pathline: {about_file(problem, read=files)}", markup=False, highlight=False)
        raise typer.Exit(FAILED) from problem
    except (RefusedError, UnreachableError, EOFError, zlib.error) as problem:
        say.print(f"pathline: {problem}; what is acked is kept, the same command goes on from there", markup=False)
        raise typer.Exit(FAILED) from problem
    except KeyboardInterrupt:
        say.print("stopped; the same command goes on from there")
        raise typer.Exit(130) from None
    refused = sum(outcome.refused for outcome in outcomes)
    stored = sum(outcome.stored for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    earlier = f", {skipped:,} lines were sent before" if skipped else ""
    say.print(f"{stored:,} stored, {refused:,} refused{earlier}")
    raise typer.Exit(SOME_REFUSED if refused else 0)


def collector_of(settings: Settings) -> str:
    """The address of the collector that an `up` on this home runs, else of the one in the settings, as a URL."""
    home = settings.home.expanduser().absolute()
    snapshot = state.read(home) if homes.holder(home) is not None else None
    running = {part.name: part.address for part in snapshot.parts} if snapshot is not None else {}
    host, port = split_address(running.get("ingest", settings.collector))
    if port == 0:
        reason = "no collector runs on this home; start `pathline up`, or name one with --collector"
        raise typer.BadParameter(reason)
    return f"http://{join_address(loopback_of(host), port)}"


async def _run(
    files: list[str],
    base: str,
    key: str,
    kept: Kept,
    *,
    on_reject: Callable[[Rejected], None],
    say: Console,
    restart: bool,
    patience: float,
) -> list[Outcome]:
    outcomes = []
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[calls]:,} calls"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=say, disable=not sys.stderr.isatty(), transient=True) as bar:
        async with Collector(base, patience_seconds=patience, on_retry=_Retries(bar.console)) as collector:
            for file in files:
                identity = lines.identify(file)
                if restart and identity is not None:
                    kept.save(identity, Position())
                # A zipped file ends later than its size says; its bar is full early, and the count goes on.
                task = bar.add_task(file, total=identity.size if identity else None, calls=0)

                def on_position(at: Position, task: object = task) -> None:
                    bar.update(task, completed=at.offset, calls=at.acked)  # type: ignore[arg-type]

                importer = Importer(collector, key, kept, on_reject=on_reject, on_position=on_position)
                outcomes.append(await importer.run(file))
    return outcomes


class _Retries:
    """Says why batches are sent again. Those under way at once meet the same trouble, which is said for one of them."""

    def __init__(self, say: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._silent_until = -math.inf

    def __call__(self, why: str, seconds: float) -> None:
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + seconds
            self._say.print(f"{why}; again in {seconds:.1f} s", markup=False)


@contextmanager
def _rejects(target: str | None, say: Console) -> Iterator[Callable[[Rejected], None]]:
    """Where refused lines are told: the file asked for, else a line each on standard error."""
    if target is None:
        yield lambda one: say.print(f"{one.file}:{one.line}: {one.code}: {one.message}", markup=False)
    elif target == lines.STDIN:
        yield _to(sys.stdout.buffer)
    else:
        with Path(target).open("ab") as file:
            yield _to(file)


def _to(file: IO[bytes]) -> Callable[[Rejected], None]:
    def write(one: Rejected) -> None:
        file.write(msgspec.json.encode(one) + b"\n")
        file.flush()

    return write
