"""Examples in detectors' files: what a `given` is as a call, and what is wrong with how an example is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pathline.contracts.yaml_files import like
from pathline.domain.detectors import spans
from pathline.domain.detectors.checks import Fault
from pathline.domain.detectors.evaluate import HANDED_OVER
from pathline.domain.detectors.rules import DetectorFile, Example, Expected
from pathline.domain.detectors.view import CUSTOMER, SESSION
from pathline.domain.identifiers import Identifier, person, thing
from pathline.domain.journey_risk import EASED
from pathline.domain.judging import LATE_EVENT

DAY: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - its zone is the example's
"""The start of every example: a Thursday's midnight, in the example's zone."""

RESERVED: Final = ("at", "event", "user", "visitor", "traits", "received", "historical", "properties")
"""Words of a `given` that are no properties. A property of such a name stands in `properties`."""

WHO: Final[Mapping[str, str]] = {"user": "user_id", "visitor": "anonymous_id"}
"""How a person is named in an example, and the kind of identifier that it is."""

ALWAYS: Final = frozenset({HANDED_OVER, LATE_EVENT})
"""Words that an alert may be resolved with although no file says them."""

CODE: Final = "bad_example"

_KINDS: Final[Mapping[str, tuple[type, str]]] = {
    "event": (str, "a text"),
    "user": (str, "a text"),
    "visitor": (str, "a text"),
    "traits": (dict, "a mapping"),
    "properties": (dict, "a mapping"),
    "historical": (bool, "true or false"),
}
"""What each of these words of a `given` holds, and how it is called."""


class Given(NamedTuple):
    """A touchpoint of an example: the call, and when it is received."""

    call: bytes
    occurred: datetime
    received: datetime
    historical: bool


def start_of(example: Example) -> datetime:
    """The instant that its spans count from."""
    return DAY.replace(tzinfo=ZoneInfo(example.zone)).astimezone(UTC)


def given(example: Example) -> list[Given]:
    """Its touchpoints as a site would send them, in the order in which they are written."""
    start = start_of(example)
    return [_given(one, place, start) for place, one in enumerate(example.given)]


def about(example: Example, expected: Expected) -> set[Identifier | None]:
    """The names of what an episode is expected to be about; None is one that cannot be a name."""
    names = expected.of.items()
    return {
        person(example.namespace, WHO[kind], value) if kind in WHO else thing(example.namespace, kind, value)
        for kind, value in names
    }


def length(text: str) -> timedelta | None:
    """A span by the clock; None for what is none."""
    span = spans.parse(text)
    return span.time if span is not None and span.by_the_clock else None


def faults(file: DetectorFile) -> Iterable[Fault]:
    """What is wrong with how the examples of a file are written; whether they hold is another matter."""
    for place, example in enumerate(file.examples):
        yield from _example_faults(file, example, f"examples[{place}]")


def resolutions(file: DetectorFile) -> list[str]:
    """The words that its alerts are resolved with, each once."""
    deadline, marks = file.deadline, file.marks
    words = [] if marks is None else [answer.resolution for answer in marks.answers]
    words += [] if marks is None or marks.lasts is None else [marks.over]
    words += [] if file.risk is None else [EASED]
    if deadline is not None:
        words += [one.resolution for one in deadline.until] + [deadline.moved]
        words += [] if deadline.ends_at is None else [HANDED_OVER]
    return list(dict.fromkeys(words))


def _given(told: Mapping[str, Any], place: int, start: datetime) -> Given:
    occurred = start + (length(told["at"]) or timedelta())
    received = start + (length(told["received"]) or timedelta()) if "received" in told else occurred
    own = {name: value for name, value in told.items() if name not in RESERVED}
    call: dict[str, Any] = {
        "type": "track" if "event" in told else "identify",
        "messageId": f"given-{place + 1}",
        "timestamp": occurred.isoformat(),
    }
    call |= {name: told[word] for word, name in (("user", "userId"), ("visitor", "anonymousId")) if word in told}
    if "event" in told:
        call |= {"event": told["event"], "properties": own | told.get("properties", {})}
        if "traits" in told:
            call["context"] = {"traits": told["traits"]}
    else:
        call["traits"] = told["traits"]
    return Given(msgspec.json.encode(call), occurred, received, bool(told.get("historical", False)))


def _example_faults(file: DetectorFile, example: Example, field: str) -> Iterable[Fault]:
    try:
        ZoneInfo(example.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Fault(f"{field}.zone", CODE, f"{example.zone[:50]!r} is no time zone, such as Europe/Berlin")
    until = None if example.until is None else length(example.until)
    if example.until is not None and until is None:
        yield _no_span(f"{field}.until", example.until)
    if not example.given:
        yield Fault(f"{field}.given", "empty_list", "at least one touchpoint is needed")
    for place, told in enumerate(example.given):
        yield from _given_faults(told, until, f"{field}.given[{place}]")
    for place, expected in enumerate(example.expect):
        yield from _expected_faults(file, expected, f"{field}.expect[{place}]")


def _given_faults(told: Mapping[str, Any], until: timedelta | None, field: str) -> Iterable[Fault]:
    yield from _time_faults(told, until, field)
    for name, (kind, words) in _KINDS.items():
        if not isinstance(told.get(name, kind()), kind):
            yield Fault(f"{field}.{name}", "wrong_type", f"{words} is needed")
    if "event" in told:
        return
    if "traits" not in told:
        yield Fault(field, "missing_field", "an 'event' is needed, or 'traits' of a person")
    for name in told:
        if name not in RESERVED or name == "properties":
            yield Fault(f"{field}.{name}", CODE, "without an 'event' there are no properties; is it one of the traits?")


def _time_faults(told: Mapping[str, Any], until: timedelta | None, field: str) -> Iterable[Fault]:
    if "at" not in told:
        yield Fault(field, "missing_field", "the field 'at' is missing: how long after the start it happens")
    lengths = {name: length(told[name]) for name in ("at", "received") if isinstance(told.get(name), str)}
    for name in ("at", "received"):
        if name in told and lengths.get(name) is None:
            yield _no_span(f"{field}.{name}", told[name])
    at, received = lengths.get("at"), lengths.get("received", lengths.get("at"))
    if at is None or received is None:
        return
    if received < at:
        yield Fault(f"{field}.received", CODE, "it cannot be received before it happens")
    elif until is not None and received > until:
        yield Fault(f"{field}.at", CODE, "it comes after the 'until' of the example, so it would tell nothing")


def _expected_faults(file: DetectorFile, expected: Expected, field: str) -> Iterable[Fault]:
    for name, told in (("opened", expected.opened), ("at", expected.at)):
        if told is not None and length(told) is None:
            yield _no_span(f"{field}.{name}", told)
    words = {*resolutions(file), *ALWAYS}
    if expected.resolved is not None and expected.resolved not in words:
        known = ", ".join(resolutions(file)) or "no word"
        message = f"{expected.resolved[:50]!r} is none of {known}{like(expected.resolved, words)}"
        yield Fault(f"{field}.resolved", "not_one_of", message)
    if expected.at is not None and expected.resolved is None:
        yield Fault(f"{field}.at", "goes_together", "it is when the episode was resolved, so 'resolved' is needed")
    levels = [step.level for step in file.severity]
    if expected.severity is not None and expected.severity not in levels:
        yield Fault(f"{field}.severity", "not_one_of", f"{expected.severity!r} is none of {', '.join(levels)}")
    kinds = [kind for kind in file.entity if kind not in {CUSTOMER, SESSION}]
    kinds += WHO if len(kinds) < len(file.entity) else ()
    for kind in expected.of:
        if kind not in kinds:
            known = ", ".join(kinds)
            yield Fault(f"{field}.of.{kind}", "unknown_kind", f"{kind[:50]!r} is none of {known}{like(kind, kinds)}")


def _no_span(field: str, told: object) -> Fault:
    words = f"{str(told)[:50]!r} is no span of time by the clock (30s, 15m, 24h, 3d), counted from the start"
    return Fault(field, "bad_span", words)
