"""Calls in the address of a picture: `GET /pixel/v1/{track,page}` of RudderStack, `GET /v1/pixel/{type}` of Segment."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from services.ingest.codes import Refused
from services.ingest.dialects import Asked, Dialect, Translated, wire

DEPTH_MAX: Final = 8
"""Parts of a dotted name; `context.page.url` has three."""

_NO_DATA: Final = Refused("not_an_object", "data is a JSON object, base64 or not")


class _Said(msgspec.Struct, gc=False):
    key: Any = msgspec.field(name="writeKey", default=None)
    message_id: Any = msgspec.field(name="messageId", default=None)


_said: Final = msgspec.json.Decoder(_Said)


def translate(asked: Asked, new_id: Callable[[], str]) -> Translated | Refused:
    """The call of a query: JSON in its field `data`, base64 or not, or fields with dotted names."""
    given = wire.query_of(asked.query)
    if isinstance(given, Refused):
        return given
    raw = _data(given["data"]) if "data" in given else _nested(given)
    if isinstance(raw, Refused):
        return raw
    said = wire.decoded(raw, _said, _NO_DATA)
    if isinstance(said, Refused):
        return said
    fields = wire.decoded(raw, wire.raw_fields, _NO_DATA)
    if isinstance(fields, Refused):
        return fields
    fields.pop("writeKey", None)
    fields["type"] = asked.path.rpartition("/")[2]
    if said.message_id is None or said.message_id == "":
        # Nobody sends a picture's address again to be safe: each time that it is shown counts.
        fields["messageId"] = new_id()
    call = wire.encoded(fields)
    return wire.alone(call, said.key)


def _data(given: str) -> bytes | Refused:
    """The call in `data`."""
    return given.encode() if given.lstrip().startswith("{") else wire.unbase64(given)


def _nested(given: dict[str, str]) -> bytes | Refused:
    """Fields with dotted names as objects in objects."""
    whole: dict[str, Any] = {}
    for name, value in given.items():
        *path, last = name.split(".")
        if len(path) >= DEPTH_MAX:
            return wire.BAD_QUERY
        place = whole
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                return wire.BAD_QUERY
        if isinstance(place.get(last), dict):
            return wire.BAD_QUERY
        place[last] = value
    return wire.encode(whole)


PIXEL: Final = Dialect("pixel", ("GET",), partial(translate, new_id=lambda: str(uuid.uuid4())), wire.show_picture)
