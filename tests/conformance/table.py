"""The table of docs/conformance.md: what each SDK did in the run that wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.conformance.outcome import Outcome
from tests.conformance.proxy import RETRY_AFTER_SECONDS, Exchange, Fault
from tests.conformance.sdks import CALLS, HERE, SDKS, WEBHOOKS, Sdk, version

DOCUMENT: Final = HERE.parents[1] / "docs" / "conformance.md"
BEGIN: Final = "<!-- written by `make conformance` -->\n"
END: Final = "<!-- end -->\n"

CLOCK_SECONDS: Final = 0.01
"""What the clock of an SDK, which may count in milliseconds, is coarser than ours."""

_HEAD: Final = (
    "version", "sends to", "gzip", "calls", "stored", "counted twice", "after a 503", "after a 429", "answer lost",
)  # fmt: skip


def tables(outcomes: Mapping[str, Outcome]) -> str:
    """All of it, as Markdown."""
    parts = (("SDK", SDKS), ("signed by", WEBHOOKS))
    return "\n".join(_table(title, sdks, outcomes) for title, sdks in parts)


def _table(title: str, sdks: Sequence[Sdk], outcomes: Mapping[str, Outcome]) -> str:
    head = (title, *_HEAD)
    body = (_row(outcomes[sdk.name], outcomes[sdk.failing or sdk.name]) for sdk in sdks)
    rows = [head, tuple("---" for _ in head), *body]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(outcome: Outcome, failing: Outcome) -> tuple[str, ...]:
    """`failing` is what met the faults."""
    sdk, numbers = outcome.sdk, outcome.numbers()
    return (
        sdk.title,
        version(sdk.package) if sdk.package.name else "-",
        _addresses(outcome),
        "yes" if all(one.body[:2] == b"\x1f\x8b" for one in outcome.proxy.with_calls()) else "no",
        str(CALLS),
        str(len(set(numbers.values()))),
        str(outcome.counted - len(numbers)),
        _after(failing, Fault.BUSY),
        _after_limit(failing),
        _after(failing, Fault.DROPPED),
    )


def _addresses(outcome: Outcome) -> str:
    """Where the calls went: `/v1/{i,t}` for several of one folder."""
    paths = sorted({one.path.partition("?")[0].rpartition("/")[::2] for one in outcome.proxy.with_calls()})
    said = []
    for folder, group in groupby(paths, key=lambda path: path[0]):
        names = [name for _, name in group]
        said.append(f"`{folder}/{names[0]}`" if len(names) == 1 else f"`{folder}/{{{','.join(names)}}}`")
    return " ".join(said)


def _after(outcome: Outcome, fault: Fault) -> str:
    """What it did with the calls that met a fault."""
    met = outcome.proxy.after(fault)
    if not met:
        return "not tried"
    if not any(later for _, later in met):
        return "not sent again"
    again = all(one.ids <= set().union(*(other.ids for other in later)) for one, later in met)
    return "sent again" if again else "in part sent again"


def _after_limit(outcome: Outcome) -> str:
    """The same, and when: that it waited is said where it never came early and is known to do so.

    Of others nothing follows from a late return: what it has for a pace may be slow, and is on a busy machine.
    """
    said = _after(outcome, Fault.LIMITED)
    if said != "sent again":
        return said
    waited = outcome.sdk.waits and all(not_early(*one) for one in outcome.proxy.after(Fault.LIMITED))
    return "waited, sent again" if waited else "sent again at its own pace"


def not_early(met: Exchange, later: Sequence[Exchange]) -> bool:
    """Whether what a 429 met came again no sooner than that had asked for."""
    return min(one.began for one in later) >= met.answered + RETRY_AFTER_SECONDS - CLOCK_SECONDS


def written(document: Path = DOCUMENT) -> str:
    """The table that the document has."""
    return document.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(text: str, document: Path = DOCUMENT) -> None:
    """Put this one in its place."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    document.write_text(f"{before}{begin}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")
