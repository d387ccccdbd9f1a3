"""Reading what providers send: any JSON is taken, and what is not of the documented shape is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from services.ingest import calls, clock
from services.ingest.codes import Refused

Fields = dict[str, Any]
Reader = Callable[[Fields], Any]
Table = Mapping[str, Reader]
"""Properties, each with where it stands in the payload."""

TEXT_MAX: Final = 1_000
"""Characters of a text that is copied."""

ITEMS_MAX: Final = 500
"""Objects of a list that become calls or properties."""
LOOKED_AT_MAX: Final = 5_000
"""Objects of a list among which the newest are looked for."""

_NO_OBJECT: Final = Refused("not_an_object", "the body of a webhook is a JSON object")
_SUM: Final = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_EPOCH_MAX: Final = int(clock.LATEST.timestamp())

# Numbers with a point stay the text that they are: a sum of money is never a float.
_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=str)

NO_MINOR_UNITS: Final = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMALS: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
"""Currencies without two decimals, as https://docs.stripe.com/currencies has them. ISK and UGX have none either, but
are sent with two."""


def read(raw: bytes) -> Fields | Refused:
    """The object that a body is."""
    try:
        return _decoder.decode(raw)
    except (ValueError, RecursionError) as problem:
        return calls.unreadable(raw, problem, _NO_OBJECT)


def at(value: Any, path: str) -> Any:
    """What stands at a path of names and places, such as `fulfillments.0.id`; None for nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def fields(value: Any, path: str) -> Fields:
    """The object at a path, or an empty one."""
    found = at(value, path)
    return found if isinstance(found, dict) else {}


def items(value: Any, path: str, most: int = ITEMS_MAX) -> list[Fields]:
    """The objects in the list at a path, as many as `most` from its beginning."""
    found = at(value, path)
    return [one for one in found[:most] if isinstance(one, dict)] if isinstance(found, list) else []


def as_text(value: Any) -> str | None:
    """A text that says something, or a whole number as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        # Nobody's number has more digits than a text of ours.
        return str(value) if -(10**30) < value < 10**30 else None
    if not isinstance(value, str):
        return None
    return value.replace("\0", "�").strip()[:TEXT_MAX] or None


def as_number(value: Any) -> str | None:
    """The number of an order as it is spoken: without the `#` that shops print before it."""
    told = as_text(value)
    return None if told is None else told.lstrip("#").strip() or None


def as_sum(value: Any) -> str | None:
    """A sum of money in decimal text."""
    told = as_text(value)
    return told if told is not None and _SUM.fullmatch(told) else None


def as_instant(value: Any) -> str | None:
    """An instant from ISO 8601 text (in UTC where it names no zone) or whole seconds; None out of any clock's range."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).isoformat() if 0 < value < _EPOCH_MAX else None
    try:
        instant = clock.parse(value.strip() if isinstance(value, str) else value)
    except ValueError:
        return None
    return instant.isoformat() if clock.EARLIEST <= instant < clock.LATEST else None


def as_day(value: Any) -> str | None:
    """A date or a time as it was written: what a promise or an estimate is, zone and time of day often unsaid."""
    if isinstance(value, int):
        return as_instant(value)
    return as_text(value) if as_instant(value) is not None else None


def decimal_of(minor: Any, currency: Any) -> str | None:
    """A sum in a currency's smallest unit as decimal text."""
    if not isinstance(minor, int) or isinstance(minor, bool) or abs(minor) >= 10**18:
        return None
    code = currency.lower() if isinstance(currency, str) else ""
    places = 0 if code in NO_MINOR_UNITS else 3 if code in THREE_DECIMALS else 2
    return str(Decimal(minor).scaleb(-places)) if places else str(minor)


def first(paths: tuple[str, ...], reading: Callable[[Any], Any]) -> Reader:
    """Reads what is there at the first of these paths that has something."""
    return lambda payload: next((found for path in paths if (found := reading(at(payload, path))) is not None), None)


def text(*paths: str) -> Reader:
    """Reads a text."""
    return first(paths, as_text)


def number(*paths: str) -> Reader:
    """Reads the number of an order."""
    return first(paths, as_number)


def money(*paths: str) -> Reader:
    """Reads a sum that is written with its decimals."""
    return first(paths, as_sum)


def instant(*paths: str) -> Reader:
    """Reads an instant."""
    return first(paths, as_instant)


def day(*paths: str) -> Reader:
    """Reads a date or a time."""
    return first(paths, as_day)


def minor_units(path: str, currency: str = "currency") -> Reader:
    """Reads a sum in the smallest unit of its currency."""
    return lambda payload: decimal_of(at(payload, path), at(payload, currency))


def picked(table: Table, payload: Fields) -> Fields:
    """The properties of a table, without those that are not there."""
    return {name: value for name, reading in table.items() if (value := reading(payload)) is not None}


def place(found: Fields, *names: str) -> str | None:
    """City, region and country in one line, by the names that they have in an object."""
    told = [part for name in names if (part := as_text(found.get(name))) is not None]
    return ", ".join(told)[:TEXT_MAX] or None


def fingerprint(*parts: object) -> str:
    """A short hash of these, the same in every process."""
    return blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
