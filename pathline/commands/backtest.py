"""`pathline backtest`: a file of history through the detectors in event time, with no servers."""

import sys
import zlib
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pathline.backtest.calls import NEVER, Accept, Bad, Refusal, TooManyLinesError
from pathline.backtest.report import Episode, Row
from pathline.backtest.run import LINES_MOST, Outcome, run
from pathline.commands.trouble import about_file
from pathline.contracts import detector_files, yaml_files
from pathline.contracts.accepted import Envelope
from pathline.domain.detectors.rules import DetectorError
from pathline.domain.judging import Stumble
from pathline.domain.story import promise_end
from pathline.kit.settings import Settings
from services.ingest.calls import Receipt, Record, take
from services.ingest.settings import IngestSettings

SOME_REFUSED = 1
FAILED = 2
INTERRUPTED = 130
STANDARD = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Data")(backtest)


def backtest(
    files: Annotated[list[str], typer.Argument(help="NDJSON of Segment calls, plain or gzipped; - is standard input.")],
    *,
    detectors: Annotated[
        Path | None,
        typer.Option(
            help="Folder of further detectors; one with a built-in's name replaces it.", envvar="PATHLINE_DETECTORS"
        ),
    ] = None,
    overrides: Annotated[
        Path | None,
        typer.Option(
            help="File of other thresholds; - is standard input.", envvar="PATHLINE_DETECTOR_OVERRIDES", allow_dash=True
        ),
    ] = None,
    namespace: Annotated[str, typer.Option(help="The namespace whose thresholds count.")] = "default",
    until: Annotated[
        str | None,
        typer.Option(
            help="A time with zone, or a date, meaning its end in PATHLINE_ZONE: deadlines up to then pass, and what"
            " happened later is left out. Without it, the time of the last touchpoint."
        ),
    ] = None,
    out: Annotated[str, typer.Option(help="Where the episodes are written; - is standard output.")] = STANDARD,
    lines_most: Annotated[int, typer.Option(min=1, help="Lines held in memory, at most.")] = LINES_MOST,
) -> None:
    """Run files of history through the detectors, each touchpoint at its own time: no servers, nobody is alerted."""
    if STANDARD in files and overrides == yaml_files.STANDARD_INPUT:
        message = "standard input holds either the calls or the thresholds"
        raise typer.BadParameter(message, param_hint="--overrides")
    settings = Settings.load()
    zone = ZoneInfo(settings.zone)
    say = Console(stderr=True, soft_wrap=True)

    def on_bad(bad: Bad) -> None:
        say.print(f"{bad.file}:{bad.line}: {bad.code}: {bad.message}", markup=False, highlight=False)

    def on_stumble(one: Stumble) -> None:
        about = f"{one.view.kind} {one.view.identifier.value}"
        say.print(f"{one.detector} stumbled over {about}: {one.error!r}", markup=False, highlight=False)

    try:
        with say.status(f"running {', '.join(files)} in event time"):
            outcome = run(
                files,
                detector_files.load(detectors, overrides, settings.holidays),
                zone=zone,
                accept=collector(namespace),
                until=_until(until, zone),
                lines_most=lines_most,
                on_bad=on_bad,
                on_stumble=on_stumble,
            )
        _write(out, outcome.episodes)
    except (DetectorError, TooManyLinesError, EOFError, OSError, zlib.error) as problem:
        words = about_file(problem, read=files) if isinstance(problem, OSError) else str(problem)
        say.print(f"pathline: {words}", markup=False, highlight=False)
        raise typer.Exit(FAILED) from problem
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    say.print(_table(outcome.rows))
    say.print(_sentence(outcome), markup=False, highlight=False)
    raise typer.Exit(SOME_REFUSED if outcome.refused or outcome.stumbles else 0)


def collector(namespace: str) -> Accept:
    """What the collector stores of a call that a server of this namespace sends as history."""
    receipt = Receipt(
        envelope=Envelope(source="backtest", namespace=namespace, trusted=True, received_at=NEVER, historical=True),
        namespace=namespace,
        trusted=True,
        received_at=NEVER,
        call_bytes_max=IngestSettings.load().call_bytes_max,
        sender="server",
    )

    def accept(call: bytes) -> bytes | Refusal:
        taken = take(call, receipt)
        return taken.value if isinstance(taken, Record) else Refusal(taken.code, taken.message)

    return accept


def _until(told: str | None, zone: ZoneInfo) -> datetime | None:
    until = promise_end(told, zone)
    if told is not None and until is None:
        message = f"{told!r} is neither a date nor a time"
        raise typer.BadParameter(message, param_hint="--until")
    return until


def _write(out: str, episodes: Iterable[Episode]) -> None:
    with nullcontext(sys.stdout.buffer) if out == STANDARD else Path(out).open("wb") as file:
        file.writelines(msgspec.json.encode(one) + b"\n" for one in episodes)
        file.flush()


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("detector", no_wrap=True)
    for title in ("episodes", "open at end"):
        table.add_column(title, justify="right")
    table.add_column("resolved how", no_wrap=True)
    table.add_column("median to resolution", justify="right")
    for row in rows:
        how = "\n".join(f"{resolution} {count:,}" for resolution, count in row.resolutions)
        table.add_row(row.detector, f"{row.episodes:,}", f"{row.open:,}", how, _span(row.median_seconds))
    return table


def _span(seconds: float | None) -> str:
    """A span of time in its two greatest units."""
    if seconds is None:
        return ""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _sentence(outcome: Outcome) -> str:
    parts = [f"{outcome.lines:,} lines, {outcome.touchpoints:,} touchpoints"]
    for count, words in (
        (outcome.duplicates, "were duplicates"),
        (outcome.refused, "could not be used"),
        (outcome.after, "happened after the end"),
        (sum(outcome.stumbles.values()), "times a detector stumbled"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    end = f"; until {outcome.until.isoformat()}" if outcome.until is not None else ""
    return ", ".join(parts) + end
