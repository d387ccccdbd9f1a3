"""From an accepted call to the core's touchpoint: names normalised, the channel decided, the body chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pathline.contracts.accepted import UNSENT, Accepted, Call
from pathline.domain.identifiers import THING_KINDS, Identifier, person, thing, touchpoint_id, usable
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import CALL_TYPES, THING_PROPERTIES, channel_of, event_of, is_report

_LIBRARY_CHANNEL: Final = {"web": "web", "app": "app", "server": "server"}

NAME_LENGTH: Final = 200
"""Characters kept of an event's name."""

_YEARS: Final = range(2, 9_999)
"""Of a told time that is kept: it has a date in every zone."""

_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape of a NUL; not the end of an escaped backslash and digits behind it."""

_object = msgspec.json.Decoder(dict[str, Any])
_empty: Final[dict[str, Any]] = {}


class Unreadable(Exception):  # noqa: N818 - a verdict on what was sent, not a fault of ours
    """An accepted record that can't be made a touchpoint, with a stable code."""

    def __init__(self, code: str, message: str) -> None:
        """Give the `code` that the dead letter shows."""
        super().__init__(message)
        self.code = code


def to_touchpoint(record: Accepted) -> Touchpoint:
    """The touchpoint that a record holds.

    Raises:
        Unreadable: it has an unknown type, or names neither a person nor a thing that could be used.
    """
    call = record.call
    if call.type not in CALL_TYPES:
        code = "unknown_type"
        raise Unreadable(code, f"the type of a call is one of {', '.join(CALL_TYPES)}")
    context = _dict(call.context) if record.shared is None else {**_dict(record.shared), **_dict(call.context)}
    properties = _decoded(call.properties)
    # The traits of a group call are the account's: its name and mailbox are nobody's own.
    own = _decoded(call.traits) if call.type != "group" else _empty
    traits = own or _dict(context.get("traits"))
    event = _event(call)
    track = call.type == "track"
    known = event_of(event if track else "")
    touchpoint = Touchpoint(
        id=touchpoint_id(record.source, record.message_id),
        source=record.source,
        message_id=record.message_id,
        namespace=record.namespace,
        trusted=record.trusted,
        type=call.type,
        event=event,
        channel=_channel(record, known.channel, properties, context),
        occurred_at=record.occurred_at,
        received_at=record.received_at,
        told_at=None if record.trusted else _told_at(record),
        clamped=record.clamped,
        historical=record.historical,
        privacy_signal=record.privacy_signal,
        report=track and is_report(event, properties.get("by")),
        makes=known.makes,
        people=_people(record, (own, _dict(context.get("traits")), properties), context),
        things=_things(record.namespace, properties) if track else (),
        previous_id=usable(call.previous_id) if call.type == "alias" else None,
        account=usable(call.group_id) or usable(context.get("groupId")),
        properties=properties,
        traits=traits,
        body=_body(call),
    )
    if touchpoint.subject is None:
        code = "no_subject"
        raise Unreadable(code, "it names neither a person nor a thing by a value that can be used")
    return touchpoint


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else _empty


def _decoded(raw: msgspec.Raw) -> dict[str, Any]:
    if raw is UNSENT:
        return _empty
    try:
        return _object.decode(raw)
    except msgspec.ValidationError:
        return _empty


def _told_at(record: Accepted) -> datetime | None:
    """When it happened by the clock of a browser or an app, where that is not what counts; a server's word stands."""
    call = record.call
    told = call.timestamp if call.timestamp is not None else call.original_timestamp
    if type(told) is not str:
        return None
    try:
        instant = datetime.fromisoformat(told)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        # The collector has refused such; what else writes to the log may say what it likes.
        return None
    return instant if instant != record.occurred_at and instant.year in _YEARS else None


def _body(call: Call) -> str:
    """What is shown of the call: the traits of an identify or group, else its properties, as they were sent."""
    raw = bytes(call.traits if call.type in {"identify", "group"} else call.properties)
    if raw in (b"", b"null"):
        return "{}"
    text = raw.decode("utf-8", "replace")
    # PostgreSQL's json takes the escape of a NUL, but nothing after it can read it as text.
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _event(call: Call) -> str:
    named = call.event if call.type == "track" else call.name if call.type in {"page", "screen"} else None
    text = named if isinstance(named, str) and named else call.type
    return text.replace("\0", "�")[:NAME_LENGTH]


def _channel(record: Accepted, usual: str | None, properties: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    for said in (properties.get("channel"), context.get("channel")):
        if said is not None and (channel := channel_of(said)) is not None:
            return channel
    return usual or _LIBRARY_CHANNEL.get(record.library, "other")


def _people(
    record: Accepted, places: tuple[Mapping[str, Any], ...], context: Mapping[str, Any]
) -> tuple[Identifier, ...]:
    """The usable identifiers, strongest first. Of two of one kind the first place counts."""
    call, namespace = record.call, record.namespace
    told = [place for place in places if "email" in place or "phone" in place]
    device = context.get("device")
    found = [
        _first(namespace, "user_id", (call.user_id,)),
        _first(namespace, "email", [place.get("email") for place in told]) if told else None,
        _first(namespace, "phone", [place.get("phone") for place in told], _region(places, context)) if told else None,
        _first(namespace, "anonymous_id", (call.anonymous_id,)),
        _first(namespace, "device_id", (device.get("id"),)) if isinstance(device, dict) else None,
    ]
    return tuple([identifier for identifier in found if identifier is not None])


def _first(namespace: str, kind: str, values: Iterable[object], region: str | None = None) -> Identifier | None:
    for value in values:
        if value is not None:
            identifier = person(namespace, kind, value, region)
            if identifier is not None:
                return identifier
    return None


def _region(places: tuple[Mapping[str, Any], ...], context: Mapping[str, Any]) -> str | None:
    """The country that a telephone number without a prefix is of, where the call tells."""
    told = [_dict(place.get("address")).get("country") for place in places]
    told.append(_dict(context.get("location")).get("country"))
    locale = context.get("locale")
    if isinstance(locale, str) and "-" in locale:
        told.append(locale.rsplit("-", 1)[1])
    codes = (code for code in told if isinstance(code, str) and len(code) == len("DE") and code.isalpha())
    return next(codes, None)


def _things(namespace: str, properties: Mapping[str, Any]) -> tuple[Identifier, ...]:
    if not properties:
        return ()
    named = [
        thing(namespace, kind, properties[THING_PROPERTIES[kind]])
        for kind in THING_KINDS
        if THING_PROPERTIES[kind] in properties
    ]
    return tuple([name for name in named if name is not None])
