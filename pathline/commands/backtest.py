"""`pathline backtest`: a file of history through the detectors in event time, with no servers."""

import sys
import zlib
from collections.abc import Iterable
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console

from pathline.backtest import trials
from pathline.backtest.calls import NEVER, Accept, Refusal, TooManyLinesError
from pathline.backtest.plot import draw
from pathline.backtest.run import LINES_MOST, Outcome, run
from pathline.commands.backtest_told import Said, comparison_table, record_table, warning_table
from pathline.commands.detector_options import FOLDER, HELP, Overrides
from pathline.commands.trouble import about_file
from pathline.contracts import detector_files, yaml_files
from pathline.contracts.accepted import Envelope
from pathline.domain.detectors.rules import DetectorError
from pathline.domain.story import promise_end
from pathline.kit.settings import Settings
from services.ingest.calls import Receipt, Record, take
from services.ingest.settings import IngestSettings

SOME_REFUSED = 1
FAILED = 2
INTERRUPTED = 130
STANDARD = "-"
PROCESSES_MOST = 64
PLOT_SUFFIX = ".svg"
WIDTH = 120
"""Characters of a line of the tables where there is no terminal to ask."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Data")(backtest)


def backtest(
    files: Annotated[list[str], typer.Argument(help="NDJSON of Segment calls, plain or gzipped; - is standard input.")],
    *,
    detectors: Annotated[Path | None, typer.Option(help=HELP, envvar=FOLDER)] = None,
    overrides: Overrides = None,
    namespace: Annotated[str, typer.Option(help="The namespace whose thresholds count.")] = "default",
    until: Annotated[
        str | None,
        typer.Option(
            help="A time with zone, or a date, meaning its end in PATHLINE_ZONE: deadlines up to then pass, and what"
            " happened later is left out. Without it, the time of the last touchpoint."
        ),
    ] = None,
    out: Annotated[str, typer.Option(help="Where the episodes are written; - is standard output.")] = STANDARD,
    records: Annotated[
        str | None, typer.Option(help="Where each detector's record is written, as NDJSON; - is standard output.")
    ] = None,
    agents: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="How many people share the work: episodes a day and agent.")
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="DETECTOR.THRESHOLD=VALUE,...",
            help="Other values of a threshold, compared with what it is now. May be given again.",
        ),
    ] = None,
    plot: Annotated[
        str | None, typer.Option(help="Where the comparison is drawn: a file that ends in .svg; - is standard output.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=PROCESSES_MOST, help="How many share the computing; what comes out is the same.")
    ] = 1,
    lines_most: Annotated[int, typer.Option(min=1, help="Lines held in memory, at most.")] = LINES_MOST,
) -> None:
    """Run files of history through the detectors, each touchpoint at its own time: no servers, nobody is alerted."""
    _check(files=files, overrides=overrides, outputs=[out, records, plot], others=others)
    settings = Settings.load()
    zone = ZoneInfo(settings.zone)
    say = Console(stderr=True, soft_wrap=True)
    if not say.is_terminal:
        say.width = WIDTH

    try:
        asked = [trials.read(one) for one in others or ()]
        with Said(say) as said:
            outcome = run(
                files,
                detector_files.load(detectors, overrides, settings.holidays),
                zone=zone,
                accept=collector(namespace),
                until=_until(until, zone),
                lines_most=lines_most,
                processes=processes,
                agents=agents,
                trials=asked,
                namespace=namespace,
                listener=said,
            )
        _write(out, map(msgspec.json.encode, outcome.episodes))
        if records is not None:
            _write(records, map(msgspec.json.encode, outcome.records))
        if plot is not None:
            _write(plot, draw(outcome.comparisons).encode().splitlines())
    except (DetectorError, TooManyLinesError, EOFError, OSError, BrokenProcessPool, zlib.error) as problem:
        words = about_file(problem, read=files) if isinstance(problem, OSError) else str(problem)
        say.print(f"pathline: {words}", markup=False, highlight=False)
        raise typer.Exit(FAILED) from problem
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    _tell(say, outcome)
    raise typer.Exit(SOME_REFUSED if outcome.refused or outcome.stumbles else 0)


def _check(*, files: list[str], overrides: Path | None, outputs: list[str | None], others: list[str] | None) -> None:
    """What no option can see by itself."""
    if STANDARD in files and overrides == yaml_files.STANDARD_INPUT:
        message = "standard input holds either the calls or the thresholds"
        raise typer.BadParameter(message, param_hint="--overrides")
    if outputs.count(STANDARD) > 1:
        message = "standard output takes one of them; name a file for the others"
        raise typer.BadParameter(message, param_hint="--out, --records, --plot")
    if outputs[-1] is not None and not others:
        message = "there is nothing to draw: compare values of a threshold with --set"
        raise typer.BadParameter(message, param_hint="--plot")
    if outputs[-1] not in {None, STANDARD} and Path(str(outputs[-1])).suffix.lower() != PLOT_SUFFIX:
        message = f"a plot is an SVG: name a file that ends in {PLOT_SUFFIX}"
        raise typer.BadParameter(message, param_hint="--plot")


class _Collector:
    """A collector's taking of calls, which can go to other processes."""

    def __init__(self, namespace: str) -> None:
        """Send as one of this namespace."""
        self._receipt = Receipt(
            envelope=Envelope(source="backtest", namespace=namespace, trusted=True, received_at=NEVER, historical=True),
            namespace=namespace,
            trusted=True,
            received_at=NEVER,
            call_bytes_max=IngestSettings.load().call_bytes_max,
            sender="server",
        )

    def __call__(self, call: bytes) -> bytes | Refusal:
        """Take a call, or refuse it."""
        taken = take(call, self._receipt)
        return taken.value if isinstance(taken, Record) else Refusal(taken.code, taken.message)


def collector(namespace: str) -> Accept:
    """What the collector stores of a call that a server of this namespace sends as history."""
    return _Collector(namespace)


def _until(told: str | None, zone: ZoneInfo) -> datetime | None:
    until = promise_end(told, zone)
    if told is not None and until is None:
        message = f"{told!r} is neither a date nor a time"
        raise typer.BadParameter(message, param_hint="--until")
    return until


def _write(out: str, lines: Iterable[bytes]) -> None:
    with nullcontext(sys.stdout.buffer) if out == STANDARD else Path(out).open("wb") as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()


def _tell(say: Console, outcome: Outcome) -> None:
    """The tables, and a sentence."""
    say.print(record_table(outcome.records))
    warnings = warning_table(outcome.records)
    if warnings is not None:
        say.print(warnings)
    for comparison in outcome.comparisons:
        say.print(comparison_table(comparison))
    say.print(_sentence(outcome), markup=False, highlight=False)


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
