"""From the bytes of one call to the record that is stored, or the reason why it is refused. Pure, and once per call."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from pathline.contracts import accepted
from pathline.domain.identifiers import usable
from pathline.domain.vocabulary import CALL_TYPES, SHIPMENT_STATUSES, THING_PROPERTIES, VOCABULARY, is_report
from services.ingest import clock, text
from services.ingest.codes import Refused
from services.ingest.subject import NOTHING, Fields, person_named, thing_named

MESSAGE_ID_MAX: Final = 100
"""Characters of a message id."""

LIBRARY_NAMES_KNOWN: Final = 256
"""Names of SDKs remembered; there are some dozens."""

_TYPES: Final = frozenset(CALL_TYPES)
_NAMING: Final = frozenset(THING_PROPERTIES.values())
_LIBRARIES: Final = (
    ("app", ("android", "kotlin", "swift", "-ios", "flutter", "react-native", "react_native", "xamarin", "unity")),
    ("web", ("analytics.js", "analytics-next", "javascript", "pathline.js")),
    ("server", ("node", "python", "ruby", "php", "java", "-go", "net", "rust", "server")),
)
"""What kind of sender an SDK is, by a part of its name; the first that fits."""


class Receipt(msgspec.Struct, gc=False):
    """What the calls of one request have in common."""

    source: str
    namespace: str
    trusted: bool
    """True for a server key."""
    received_at: datetime
    call_bytes_max: int
    sent_at: datetime | None = None
    """By the batch. A call's own goes before it."""
    historical: bool = False
    shared: bytes | None = None
    """The context of the batch, as it was sent."""
    context: Fields = NOTHING
    """The same, decoded."""


class Record(NamedTuple):
    """What is written to Kafka for one call."""

    key: bytes
    value: bytes
    clamped: bool
    sent_at: datetime | None


class When(NamedTuple):
    """The times of a call. `clamped`: its own was out of bounds."""

    occurred_at: datetime
    clamped: bool
    sent_at: datetime | None


class Item(msgspec.Struct, rename="camel", gc=False):
    """The fields of a call that decide something here. Any value is taken, so that each gets a code of its own."""

    type: Any = None
    event: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    message_id: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    properties: Any = None
    traits: Any = None
    context: Any = None
    name: Any = None
    write_key: Any = None
    historical: Any = None


_item: Final = msgspec.json.Decoder(Item)
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything: Final = msgspec.json.Decoder(dict[str, Any])
_sorted: Final = msgspec.json.Encoder(order="sorted")

_TOO_LARGE: Final = Refused("call_too_large", "the call is larger than this collector takes")
_NO_OBJECT: Final = Refused("not_an_object", "a call is a JSON object")
_NO_JSON: Final = Refused("invalid_json", "the text is no JSON")
_NO_UTF8: Final = Refused("invalid_utf8", "the bytes are not UTF-8")
_BAD_CHARACTER: Final = Refused("bad_character", "a text holds a NUL or half a surrogate pair")
_BAD_NUMBER: Final = Refused("bad_number", "a number is out of range")
_TOO_DEEP: Final = Refused("too_deep", f"the call is nested deeper than {text.DEPTH_MAX}")
_UNKNOWN_TYPE: Final = Refused("unknown_type", f"the type of a call is one of {', '.join(CALL_TYPES)}")
_NO_EVENT: Final = Refused("missing_event", "a track call names its event")
_BAD_PROPERTIES: Final = Refused("bad_properties", "properties are a JSON object")
_BAD_TRAITS: Final = Refused("bad_traits", "traits are a JSON object")
_BAD_CONTEXT: Final = Refused("bad_context", "the context is a JSON object")
_BAD_ID: Final = Refused("bad_message_id", f"a message id is text or an integer of at most {MESSAGE_ID_MAX} characters")
_BAD_TIME: Final = Refused("bad_timestamp", "a time is text in ISO 8601")
_FAR_TIME: Final = Refused("time_out_of_range", f"the time is not from {clock.EARLIEST:%Y} to before {clock.LATEST:%Y}")
_BAD_ALIAS: Final = Refused("bad_alias", "an alias names a previousId and a userId that can be used")
_NO_GROUP: Final = Refused("missing_group", "a group call names a groupId that can be used")
_NO_SUBJECT: Final = Refused("no_subject", "the call names neither a person nor a thing by a value that can be used")
_UNKNOWN_STATUS: Final = Refused("unknown_status", f"status is one of {', '.join(sorted(SHIPMENT_STATUSES))}")
_NEEDS_SERVER: Final = Refused("needs_server_key", "a browser key sends no reports, no alias and no history")


def read(raw: bytes, most_bytes: int) -> Item | Refused:
    """Decode a call, or say why it can't be: every reader after us uses this decoder and takes what it takes."""
    if len(raw) > most_bytes:
        return _TOO_LARGE
    if not text.is_utf8(raw):
        return _NO_UTF8
    try:
        item = _item.decode(raw)
    except msgspec.ValidationError as problem:
        return _BAD_NUMBER if "out of range" in str(problem) else _NO_OBJECT
    except msgspec.DecodeError:
        return _BAD_CHARACTER if text.has_half_character(raw) else _NO_JSON
    except RecursionError:
        return _TOO_DEEP
    if text.is_too_deep(raw):
        return _TOO_DEEP
    if text.has_nul(raw):
        return _BAD_CHARACTER
    return item


def read_context(raw: bytes, most_bytes: int) -> dict[str, Any] | Refused:
    """Decode the context of a batch under the same rules."""
    if len(raw) > most_bytes:
        return _TOO_LARGE
    if not text.is_utf8(raw):
        return _NO_UTF8
    try:
        context = _anything.decode(raw)
    except msgspec.ValidationError as problem:
        return _BAD_NUMBER if "out of range" in str(problem) else _BAD_CONTEXT
    except msgspec.DecodeError:
        return _BAD_CHARACTER if text.has_half_character(raw) else _NO_JSON
    except RecursionError:
        return _TOO_DEEP
    if text.is_too_deep(raw):
        return _TOO_DEEP
    return _BAD_CHARACTER if text.has_nul(raw) else context


def take(raw: bytes, receipt: Receipt) -> Record | Refused:
    """The record of a call that came in a batch."""
    shared = receipt.shared
    item = read(raw, receipt.call_bytes_max - (len(shared) if shared else 0))
    if item.__class__ is Refused:
        return item
    assert isinstance(item, Item)
    return record(raw, item, item.type, receipt)


def record(raw: bytes, item: Item, kind: object, receipt: Receipt) -> Record | Refused:
    """The record of a call that was read; `kind` is its type, as the path or the call itself says."""
    if type(kind) is not str or kind not in _TYPES:
        return _UNKNOWN_TYPE
    message_id = _message_id(raw, item, kind)
    if message_id is None:
        return _BAD_ID
    subject = _subject(item, kind, receipt)
    if type(subject) is Refused:
        return subject
    when = _when(item, receipt)
    if type(when) is Refused:
        return when
    assert isinstance(subject, str)
    assert isinstance(when, When)
    if item.type != kind or item.write_key is not None:
        raw = _tidied(raw, kind)
    value = accepted.encode(
        raw,
        source=receipt.source,
        namespace=receipt.namespace,
        trusted=receipt.trusted,
        library=_sender(item, receipt),
        received_at=receipt.received_at,
        occurred_at=when.occurred_at,
        message_id=message_id,
        clamped=when.clamped,
        historical=receipt.historical,
        shared=receipt.shared,
    )
    return Record(f"{receipt.namespace}/{subject}".encode(), value, when.clamped, when.sent_at)


def _message_id(raw: bytes, item: Item, kind: str) -> str | None:
    """The id of a call; without one a hash of it but for sentAt, so that a retry meets itself."""
    given = item.message_id
    if type(given) is int:
        given = str(given)
    if given is None or given == "":
        call = _anything.decode(raw)
        call.pop("sentAt", None)
        call.pop("writeKey", None)
        call["type"] = kind
        return "h-" + blake2b(_sorted.encode(call), digest_size=16).hexdigest()
    return given if type(given) is str and len(given) <= MESSAGE_ID_MAX else None


def _when(item: Item, receipt: Receipt) -> When | Refused:
    """When it happened by the clock that counts."""
    told = item.timestamp if item.timestamp is not None else item.original_timestamp
    try:
        sent_at = receipt.sent_at if item.sent_at is None else clock.parse(item.sent_at)
        if told is None:
            return When(receipt.received_at, clamped=False, sent_at=sent_at)
        instant = clock.parse(told)
    except ValueError:
        return _BAD_TIME
    if receipt.trusted:
        return When(instant, clamped=False, sent_at=sent_at) if clock.EARLIEST <= instant < clock.LATEST else _FAR_TIME
    return When(*clock.corrected(receipt.received_at, instant, sent_at), sent_at)


def _subject(item: Item, kind: str, receipt: Receipt) -> str | Refused:
    """Whom or what it is about, as `kind/value`, or why it may not be sent."""
    properties, traits, context = item.properties, item.traits, item.context
    if type(properties) is not dict:
        if properties is not None:
            return _BAD_PROPERTIES
        properties = NOTHING
    if type(traits) is not dict:
        if traits is not None:
            return _BAD_TRAITS
        traits = NOTHING
    if type(context) is not dict:
        if context is not None:
            return _BAD_CONTEXT
        context = NOTHING
    report = False
    if kind == "track":
        judged = _track(item.event, properties, trusted=receipt.trusted)
        if type(judged) is Refused:
            return judged
        report = judged is True
    elif kind == "alias":
        if not receipt.trusted:
            return _NEEDS_SERVER
        if usable(item.previous_id) is None or usable(item.user_id) is None:
            return _BAD_ALIAS
    elif kind == "group":
        if usable(item.group_id) is None:
            return _NO_GROUP
        traits = NOTHING
    named = None if report else _person(item, properties, traits, context, receipt.context)
    if named is None and kind == "track":
        named = thing_named(properties)
    return named or _NO_SUBJECT


def _person(item: Item, properties: Fields, traits: Fields, context: Fields, shared: Fields) -> str | None:
    """The strongest identifier on it; a user id needs no look at the rest."""
    if item.user_id is not None and (value := usable(item.user_id)) is not None:
        return f"user_id/{value}"
    known = context.get("traits") if "traits" in context else shared.get("traits")
    device = context.get("device") if "device" in context else shared.get("device")
    places = (traits, known if isinstance(known, dict) else NOTHING, properties)
    return person_named(None, item.anonymous_id, places, device)


def _track(event: object, properties: Fields, *, trusted: bool) -> bool | Refused:
    """Whether it is a report, or why it can't be taken."""
    if type(event) is not str or not event:
        return _NO_EVENT
    report = is_report(event, properties.get("by"))
    if report and not trusted:
        return _NEEDS_SERVER
    known = VOCABULARY.get(event)
    if known is None:
        return report
    for names in known.required:
        if not any(_given(name, properties.get(name)) for name in names):
            return Refused("missing_property", f"{event} needs {' or '.join(names)}")
    if event == "Shipment Scanned":
        status = properties["status"]
        if type(status) is not str or status not in SHIPMENT_STATUSES:
            return _UNKNOWN_STATUS
    return report


def _given(name: str, value: object) -> bool:
    """Whether a property is there; one that names a thing must be usable for that."""
    return usable(value) is not None if name in _NAMING else value is not None and value != ""


def _tidied(raw: bytes, kind: str) -> bytes:
    """The call with its type, and without a write key: a key is nobody's business after this."""
    fields = _fields.decode(raw)
    fields.pop("writeKey", None)
    fields["type"] = msgspec.Raw(b'"%b"' % kind.encode())
    return msgspec.json.encode(fields)


def _sender(item: Item, receipt: Receipt) -> str:
    """What kind of sender it is: by its SDK's name, else by the kind of its key."""
    context = item.context or NOTHING
    library = context.get("library") if "library" in context else receipt.context.get("library")
    name = library.get("name") if isinstance(library, dict) else None
    if type(name) is str and len(name) <= MESSAGE_ID_MAX and (kind := _library(name)) is not None:
        return kind
    return "server" if receipt.trusted else "web"


@lru_cache(maxsize=LIBRARY_NAMES_KNOWN)
def _library(name: str) -> str | None:
    lower = name.lower()
    for kind, parts in _LIBRARIES:
        if any(part in lower for part in parts):
            return kind
    return None
