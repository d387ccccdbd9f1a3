"""CloudEvents 1.0 over HTTP, `POST /v1/cloudevents`: structured, batched, and binary with `ce-` headers."""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from pathline.domain.identifiers import usable
from pathline.domain.vocabulary import CALL_TYPES, THING_PROPERTIES
from services.ingest import text
from services.ingest.answers import Answer
from services.ingest.codes import STORED, Refused
from services.ingest.dialects import Asked, Dialect, Shown, Translated, wire

Attributes = dict[str, Any]
"""What an event says of itself: its context attributes, without its data."""

SPEC_VERSION: Final = "1.0"
STRUCTURED: Final = "application/cloudevents"
BATCHED: Final = "application/cloudevents-batch"

_PREFIX: Final = b"ce-"
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_DATA: Final = frozenset({"data", "data_base64"})
_CALLS: Final = frozenset(CALL_TYPES) - {"track"}
_OF_CALL: Final = (
    "userId", "anonymousId", "previousId", "groupId", "name", "traits", "properties", "context", "integrations",
)  # fmt: skip
"""Fields of data that are those of a call."""
_NAMING: Final = ("email", "phone", *THING_PROPERTIES.values())

_BAD_VERSION: Final = Refused("bad_specversion", f"specversion is {SPEC_VERSION}")
_BAD_FORMAT: Final = Refused("bad_content_type", "the only format of CloudEvents that is understood is JSON")
_NO_EVENT: Final = Refused("not_an_object", "an event is a JSON object")
_NO_EVENTS: Final = Refused("bad_batch", "a batch of events is a JSON array")
_MISSING: Final = {
    name: Refused("missing_attribute", f"an event has a text {name}") for name in ("id", "source", "type")
}

_items: Final = msgspec.json.Decoder(list[msgspec.Raw])


def translate(asked: Asked) -> Translated | Refused:
    """The calls of the events in a request, in whichever mode it is."""
    kind = wire.media_type(asked.headers)
    family, _, form = kind.partition("+")
    if family in {STRUCTURED, BATCHED} and form not in {"", "json"}:
        return _BAD_FORMAT
    if family == BATCHED:
        return _batch(asked)
    if family == STRUCTURED:
        return wire.alone(_structured(asked.raw, asked))
    if any(name.startswith(_PREFIX) for name in asked.headers):
        return wire.alone(_binary(asked, kind))
    # A sender that forgot the media type has forgotten nothing that matters.
    return _batch(asked) if asked.raw.lstrip()[:1] == b"[" else wire.alone(_structured(asked.raw, asked))


def _batch(asked: Asked) -> Translated | Refused:
    events = wire.decoded_all(asked, _items, _NO_EVENTS)
    if isinstance(events, Refused):
        return events
    return Translated([wire.made(_structured(bytes(event), asked), event) for event in events])


def _structured(raw: bytes, asked: Asked) -> bytes | Refused:
    """The call of an event that is a JSON object."""
    event = wire.event_of(raw, asked, wire.fields, _NO_EVENT)
    if isinstance(event, Refused):
        return event
    attributes = {name: value for name, value in event.items() if name not in _DATA and value is not None}
    if "data_base64" not in event or event["data_base64"] is None:
        return _call(attributes, event.get("data"))
    content = wire.unbase64(event["data_base64"])
    if isinstance(content, Refused):
        return content
    declared = attributes.get("datacontenttype")
    if not _is_json(declared if isinstance(declared, str) else ""):
        return _call(attributes, {"data_base64": event["data_base64"]})
    data = wire.decoded(content, wire.anything, wire.NO_OBJECT)
    return data if isinstance(data, Refused) else _call(attributes, data)


def _binary(asked: Asked, kind: str) -> bytes | Refused:
    """The call of an event whose attributes are headers and whose data is the body."""
    attributes: Attributes = {}
    raw = asked.raw
    for name, value in asked.headers.items():
        if name.startswith(_PREFIX):
            told = _attribute(value)
            if isinstance(told, Refused):
                return told
            attributes[name[len(_PREFIX) :].decode("latin-1")] = told
    if kind:
        attributes["datacontenttype"] = kind
    if not raw:
        return _call(attributes, None)
    if _is_json(kind):
        data = wire.event_of(raw, asked, wire.anything, wire.NO_OBJECT)
    elif len(raw) > asked.bounds.event_bytes:
        data = wire.TOO_LARGE
    else:
        # As the structured mode writes it.
        data = {"data": raw.decode()} if text.is_utf8(raw) else {"data_base64": base64.b64encode(raw).decode()}
    return data if isinstance(data, Refused) else _call(attributes, data)


def _attribute(value: bytes) -> str | Refused:
    """The value of a header: perhaps in quotes, as older senders do, then percent-encoded once."""
    value = value.strip()
    quoted = _QUOTED.fullmatch(value)
    plain = unquote_to_bytes(_ESCAPED.sub(rb"\1", quoted[1]) if quoted is not None else value)
    return plain.decode() if text.is_utf8(plain) else text.NO_UTF8


def _is_json(media_type: str) -> bool:
    """Whether data of this type is JSON; data without a type is."""
    bare = media_type.partition(";")[0].strip().lower()
    return not bare or bare.endswith(("/json", "+json"))


def _call(attributes: Attributes, data: object) -> bytes | Refused:
    """The call that an event is."""
    if attributes.get("specversion") != SPEC_VERSION:
        return _BAD_VERSION
    for name, refused in _MISSING.items():
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            return refused
    told: Attributes = data if isinstance(data, dict) else {} if data is None else {"data": data}
    given = {name: told[name] for name in _OF_CALL if told.get(name) is not None}
    properties = given.get("properties", {name: told[name] for name in told if name not in _OF_CALL})
    context = given.get("context", {})
    if not isinstance(context, dict):
        return Refused("bad_context", "the context is a JSON object")
    kind = attributes["type"]
    when = attributes.get("time")
    call = {
        **given,
        "type": kind if kind in _CALLS else "track",
        "messageId": attributes["id"],
        "timestamp": when.upper() if isinstance(when, str) else when,
        "properties": properties,
        "context": {**context, "cloudevent": _kept(attributes)},
        **_whose(attributes, given, properties),
    }
    if call["type"] == "track":
        call["event"] = _event(kind)
    if call["type"] in {"identify", "group"}:
        # Their data is the traits, where it does not say which part of it is.
        call["traits"] = given.get("traits", call.pop("properties"))
    return wire.encoded(call)


def _event(kind: str) -> str:
    """The event of a type: of the vocabulary by all of it or by its last part, else the type itself."""
    return wire.known(kind) or wire.known(kind.rpartition(".")[2]) or kind


def _kept(attributes: Attributes) -> Attributes:
    """What of an event has no place of its own in a call."""
    return {name: value for name, value in attributes.items() if name not in {"id", "time", "specversion"}}


def _whose(attributes: Attributes, given: Attributes, properties: object) -> Attributes:
    """Whom an event is about: by its data, by the extensions `userid` and `anonymousid`, at last by its subject."""
    named = {
        "userId": given.get("userId", attributes.get("userid")),
        "anonymousId": given.get("anonymousId", attributes.get("anonymousid")),
    }
    if all(usable(value) is None for value in named.values()) and not _names_any(given.get("traits"), properties):
        named["userId"] = attributes.get("subject")
    return {name: value for name, value in named.items() if value is not None}


def _names_any(*places: object) -> bool:
    """Whether one of these names a person or a thing by a value that can be used."""
    return any(usable(place.get(name)) is not None for place in places if isinstance(place, dict) for name in _NAMING)


def show(answer: Answer, _asked: Asked) -> Shown:
    """JSON. A batch may be empty, says CloudEvents: then all of it is stored."""
    headers = [(b"content-type", b"application/json")]
    if answer.code == "empty_batch":
        return Shown(HTTPStatus.OK, STORED, headers)
    return Shown(answer.status, answer.content, headers)


CLOUDEVENTS: Final = Dialect("cloudevents", ("POST",), translate, show, keyed=False)
