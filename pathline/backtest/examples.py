"""The examples of detectors, run: a collector's own taking of calls, the stitcher's fold, the scorer's judging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.backtest import report
from pathline.backtest.calls import Accept, Refusal
from pathline.backtest.simulation import Simulation
from pathline.contracts import accepted, detector_examples
from pathline.contracts.detector_examples import WHO, length
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain.alerts import Alert
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import Example, Expected
from pathline.domain.touchpoint import Touchpoint

AFTERWARDS: Final = timedelta(days=2 * 366)
"""How long after its last touchpoint an example without an `until` is looked at: twice the longest span there is."""

_UNITS: Final = (
    ("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)  # fmt: skip


class BadGiven(msgspec.Struct, frozen=True):
    """A touchpoint of an example that the collector would not take."""

    place: int
    code: str
    message: str


class Verdict(msgspec.Struct, frozen=True):
    """What came of an example: it holds where nothing else came."""

    name: str
    expected: tuple[str, ...] = ()
    """What was expected, a line an episode, where it did not come."""
    came: tuple[str, ...] = ()
    """What came instead."""
    bad: tuple[BadGiven, ...] = ()
    stumbles: tuple[str, ...] = ()
    """The detector broke off, and why."""

    @property
    def holds(self) -> bool:
        """Whether all came as it should."""
        return not (self.expected or self.came or self.bad or self.stumbles)


def run(detector: str, example: Example, detectors: Detectors, collector: Callable[[str], Accept]) -> Verdict:
    """Run one example of a detector among all the others, and compare what it alone says.

    Args:
        detector: its name.
        example: what is given and expected; its form was checked.
        detectors: all of them, for one may hand over to another.
        collector: what takes the calls of a namespace.
    """
    received, bad = _received(example, collector(example.namespace))
    if bad:
        return Verdict(example.name, bad=tuple(bad))
    stumbles: list[str] = []
    simulation = Simulation(
        detectors,
        ZoneInfo(example.zone),
        on_stumble=lambda one: stumbles.append(repr(one.error)) if one.detector == detector else None,
    )
    start = detector_examples.start_of(example)
    last = start
    for last, group in groupby(received, key=lambda one: one.received_at):
        simulation.happen(last, group)
    simulation.sleep_until(last + AFTERWARDS if example.until is None else start + _length(example.until))
    episodes = report.in_order(alert for alert in simulation.alerts() if alert.detector == detector)
    missing, more = _compared(example, episodes, start)
    names = _names(example, simulation)
    return Verdict(
        example.name,
        expected=tuple(_wanted(one) for one in missing),
        came=tuple(_seen(one, names, start, missing) for one in more),
        stumbles=tuple(stumbles),
    )


def _received(example: Example, accept: Accept) -> tuple[list[Touchpoint], list[BadGiven]]:
    """The touchpoints in the order in which they come in, and what is no touchpoint."""
    touchpoints, bad = [], []
    for place, one in enumerate(detector_examples.given(example)):
        value = accept(one.call)
        if isinstance(value, Refusal):
            bad.append(BadGiven(place, value.code, value.message))
            continue
        record = accepted.decode(value)
        record.received_at, record.historical = one.received, one.historical
        try:
            touchpoints.append(to_touchpoint(record))
        except Unreadable as why:
            bad.append(BadGiven(place, why.code, str(why)))
    return sorted(touchpoints, key=lambda one: (one.received_at, one.occurred_at)), bad


def _compared(example: Example, episodes: list[Alert], start: datetime) -> tuple[list[Expected], list[Alert]]:
    """What was expected and did not come, and what came unexpectedly. Who expects most chooses first."""
    left, missing = list(episodes), []
    for expected in sorted(example.expect, key=lambda one: -len(msgspec.json.encode(one))):
        found = next((one for one in left if _is(example, expected, one, start)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
    return missing, left


def _is(example: Example, expected: Expected, alert: Alert, start: datetime) -> bool:
    names = detector_examples.about(example, expected)
    expired = alert.state == "expired"
    return (
        all(name is not None and name.id == alert.entity_id for name in names)
        and (expected.opened is None or alert.opened_at == start + _length(expected.opened))
        and (expected.severity is None or alert.severity == expected.severity)
        and expected.expired == expired
        and (expired or alert.resolution == expected.resolved)
        and (expected.at is None or alert.resolved_at == start + _length(expected.at))
    )


def _wanted(expected: Expected) -> str:
    """`{of: {parcel: p}, opened: 48h, severity: warning}`: as it is written."""
    told = msgspec.to_builtins(expected)
    parts = [f"{name}: {told[name]}" for name in ("opened", "severity", "resolved", "at") if told[name] is not None]
    parts += ["expired: true"] if expected.expired else []
    return _braces([*([_of(expected.of)] if expected.of else []), *parts])


def _seen(alert: Alert, names: Mapping[UUID, dict[str, str]], start: datetime, like: Iterable[Expected]) -> str:
    """The same of an episode that came, its spans in the units of what was expected where they are whole in them."""
    units = {text.lstrip("0123456789 ") for one in like for text in (one.opened, one.at) if text is not None}
    name = names.get(alert.entity_id) or {alert.entity_kind: alert.entity_value}
    parts = [_of(name), f"opened: {span_of(alert.opened_at - start, units)}", f"severity: {alert.severity}"]
    if alert.state == "expired":
        parts.append("expired: true")
    elif alert.resolved_at is not None:
        parts += [f"resolved: {alert.resolution}", f"at: {span_of(alert.resolved_at - start, units)}"]
    return _braces(parts)


def span_of(time: timedelta, units: Iterable[str] = ()) -> str:
    """A span as a file writes it, in one of `units` where it is whole in one of them, or in the greatest that fits."""
    wanted = set(units)
    for unit, size in sorted(_UNITS, key=lambda one: one[0] not in wanted):
        if not time % size:
            return f"{time // size}{unit}"
    return f"{time / timedelta(milliseconds=1):g}ms"


def _names(example: Example, simulation: Simulation) -> dict[UUID, dict[str, str]]:
    """How an example names the persons that alerts are about."""
    words = {kind: word for word, kind in WHO.items()}
    people = simulation.world.kin.people.values()
    found = [one.identifier for one in people if one.identifier.namespace == example.namespace]
    return {one.id: {words[one.kind]: one.value} for one in found if one.kind in words}


def _of(names: Mapping[str, str]) -> str:
    return "of: " + _braces([f"{kind}: {value}" for kind, value in names.items()])


def _braces(parts: Iterable[str]) -> str:
    return "{" + ", ".join(parts) + "}"


def _length(text: str) -> timedelta:
    """A span that was checked before."""
    return length(text) or timedelta()
