"""A backtest's records and comparisons as tables, in the words of the console's page of detectors; its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pathline.backtest.calls import Bad
from pathline.backtest.run import Listener
from pathline.backtest.trials import Comparison
from pathline.backtest.work import Stumbled
from pathline.domain.records import Record

Column = tuple[str, Callable[[Record], str]]


class Said(Listener):
    """Says on standard error what cannot be used, and on a terminal how far it is."""

    def __init__(self, say: Console) -> None:
        """Say it on this console."""
        self._say = say
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=say,
            transient=True,
            disable=not say.is_terminal,
        )
        self._reading = self._bars.add_task("lines read", total=None)
        self._happening = self._bars.add_task("touchpoints", total=None, visible=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def bad(self, bad: Bad) -> None:
        """Name the line."""
        self._say.print(f"{bad.file}:{bad.line}: {bad.code}: {bad.message}", markup=False, highlight=False)

    def stumbled(self, stumbled: Stumbled) -> None:
        """Name the detector."""
        words = f"{stumbled.detector} stumbled over {stumbled.about}: {stumbled.error}"
        self._say.print(words, markup=False, highlight=False)

    def read(self, lines: int) -> None:
        """Move the bar, which begins with the first lines: before, nothing but the run itself runs here."""
        self._bars.start()
        self._bars.update(self._reading, completed=lines)

    def passed(self, touchpoints: int, of: int) -> None:
        """Move the bar."""
        self._bars.update(self._reading, visible=False)
        self._bars.update(self._happening, visible=True, total=of, completed=touchpoints)


def record_table(records: Iterable[Record]) -> Table:
    """Every detector and what became of its episodes."""
    listed = list(records)
    table = _table("detector", "episodes", "open", "a day")
    agents = any(record.per_day_and_agent is not None for record in listed)
    if agents:
        table.add_column("a day and agent", justify="right")
    table.add_column("answered", justify="right")
    table.add_column("ended as", no_wrap=True)
    table.add_column("median to the end", justify="right")
    for one in listed:
        how = "\n".join(f"{word} {_part(count, one.episodes - one.open)}" for word, count in one.resolutions)
        each = [_rate(one.per_day_and_agent)] if agents else []
        table.add_row(
            _name(one), f"{one.episodes:,}", f"{one.open:,}", _rate(one.per_day), *each,
            _counted(one.answered, one.share_answered), how, span(one.median_seconds),
        )  # fmt: skip
    return table


def warning_table(records: Iterable[Record]) -> Table | None:
    """How often each that warns of another was right, how early, and what it missed; None where there is none."""
    warnings = [record for record in records if record.warns_of is not None]
    if not warnings:
        return None
    table = _table("warning", "of", *(title for title, _ in WARNING), words=2)
    for one in warnings:
        table.add_row(_name(one), one.warns_of, *(told(one) for _, told in WARNING))
    return table


def comparison_table(comparison: Comparison) -> Table:
    """The values of a threshold side by side."""
    columns = WARNING if comparison.warns else TROUBLE
    table = _table(f"{comparison.detector}.{comparison.threshold}", *(title for title, _ in columns))
    for one in comparison.values:
        table.add_row(f"{one.value} (now)" if one.own else one.value, *(told(one.record) for _, told in columns))
    return table


def span(seconds: float | None) -> str:
    """A span of time in its two greatest units."""
    if seconds is None:
        return ""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _table(first: str, *others: str, words: int = 1) -> Table:
    table = Table(box=box.SIMPLE)
    for place, title in enumerate((first, *others)):
        table.add_column(title, justify="left" if place < words else "right", no_wrap=place < words)
    return table


def _name(record: Record) -> str:
    return record.detector if record.version == 1 else f"{record.detector} v{record.version}"


def _rate(told: float | None) -> str:
    return "" if told is None else f"{told:,.2f}"


def _counted(count: int, share: float | None) -> str:
    return f"{count:,}" if share is None else f"{count:,} ({share:.0%})"


def _part(count: int, whole: int) -> str:
    return _counted(count, count / whole if whole else None)


EPISODES: Final[Sequence[Column]] = (
    ("episodes", lambda one: f"{one.episodes:,}"),
    ("a day", lambda one: _rate(one.per_day)),
)

WARNING: Final[Sequence[Column]] = (
    *EPISODES,
    ("came true", lambda one: _counted(one.came_true, one.share_right)),
    ("in vain", lambda one: f"{one.in_vain:,}"),
    ("median lead", lambda one: span(one.median_lead_seconds)),
    ("troubles", lambda one: f"{one.troubles:,}"),
    ("missed", lambda one: _part(one.troubles - one.foreseen, one.troubles)),
)
"""Missed are troubles that no warning came before."""

TROUBLE: Final[Sequence[Column]] = (
    *EPISODES,
    ("open", lambda one: f"{one.open:,}"),
    ("answered", lambda one: _counted(one.answered, one.share_answered)),
    ("median to the answer", lambda one: span(one.median_answer_seconds)),
)
