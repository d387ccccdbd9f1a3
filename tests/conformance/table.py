"""The table of docs/conformance.md: what each SDK did in the run that wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.conformance.outcome import Outcome
from tests.conformance.proxy import Fault
from tests.conformance.sdks import CALLS, HERE, SDKS, WEBHOOKS, version

DOCUMENT: Final = HERE.parents[1] / "docs" / "conformance.md"
BEGIN: Final = "<!-- written by `make conformance` -->\n"
END: Final = "<!-- end -->\n"

_HEAD: Final = (
    "version", "sends to", "gzip", "calls", "stored", "counted twice", "after a 503", "after a 429", "answer lost",
)  # fmt: skip


def tables(outcomes: Mapping[str, Outcome]) -> str:
    """All of it, as Markdown."""
    parts = (("SDK", SDKS), ("signed by", WEBHOOKS))
    return "\n".join(_table(title, [outcomes[sdk.name] for sdk in sdks]) for title, sdks in parts)


def _table(title: str, outcomes: Iterable[Outcome]) -> str:
    head = (title, *_HEAD)
    rows = [head, tuple("---" for _ in head), *map(_row, outcomes)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(outcome: Outcome) -> tuple[str, ...]:
    sdk, numbers = outcome.sdk, outcome.numbers()
    return (
        sdk.title,
        version(sdk.package),
        _addresses(outcome),
        "yes" if all(one.body[:2] == b"\x1f\x8b" for one in outcome.proxy.with_calls()) else "no",
        str(CALLS),
        str(len(set(numbers.values()))),
        str(outcome.counted - len(numbers)),
        _after(outcome, Fault.BUSY, "sent again"),
        _after(outcome, Fault.LIMITED, "waited, sent again" if sdk.waits else "sent again at its own pace"),
        _after(outcome, Fault.DROPPED, "sent again"),
    )


def _addresses(outcome: Outcome) -> str:
    """Where the calls went: `/v1/{i,t}` for several of one folder."""
    paths = sorted({one.path.partition("?")[0].rpartition("/")[::2] for one in outcome.proxy.with_calls()})
    said = []
    for folder, group in groupby(paths, key=lambda path: path[0]):
        names = [name for _, name in group]
        said.append(f"`{folder}/{names[0]}`" if len(names) == 1 else f"`{folder}/{{{','.join(names)}}}`")
    return " ".join(said)


def _after(outcome: Outcome, fault: Fault, good: str) -> str:
    """What it did with the calls that met a fault."""
    if not outcome.sdk.retries:
        return "not sent again"
    met = outcome.proxy.after(fault)
    again = all(one.ids <= set().union(*(other.ids for other in later)) for one, later in met)
    return good if met and again else "lost"


def written(document: Path = DOCUMENT) -> str:
    """The table that the document has."""
    return document.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(text: str, document: Path = DOCUMENT) -> None:
    """Put this one in its place."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    document.write_text(f"{before}{begin}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")
