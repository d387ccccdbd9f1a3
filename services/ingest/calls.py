"""From the bytes of one call to the record that is stored, or the reason why it is refused. Pure, and once per call."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from pathline.contracts import accepted
from pathline.domain.identifiers import usable
from pathline.domain.vocabulary import CALL_TYPES
from pathline.storage.keys import Addresses
from services.ingest import addresses, clock, demands, text
from services.ingest.codes import Refused
from services.ingest.demands import NEEDS_SERVER, NOTHING_ASKED, Demands
from services.ingest.senders import sender_of
from services.ingest.subject import NOTHING, Fields, Subject, person_named, subject, thing_named

MESSAGE_ID_MAX: Final = 100
"""Characters of a message id."""

NO_CONTEXT: Final = (b"", b"null", b"{}")
"""What a context is written as that says nothing."""

_TYPES: Final = frozenset(CALL_TYPES)


class When(msgspec.Struct, gc=False):
    """The times of a call. `clamped`: its own was out of bounds."""

    occurred_at: datetime
    clamped: bool
    sent_at: datetime | None


class Surroundings(msgspec.Struct, gc=False):
    """What the context of a call says that decides something here, or that of its batch where it says nothing."""

    sender: str
    traits: Fields
    device: object
    address: object = None
    """The `ip` of the call's own context, where it may not stay as it is; also one that says nothing: of two values the
    decoder shows the last alone."""


class Receipt(msgspec.Struct, gc=False):
    """What the calls of one request have in common."""

    envelope: accepted.Envelope
    namespace: str
    trusted: bool
    """True for a server key."""
    received_at: datetime
    call_bytes_max: int
    sender: str
    """What kind of sender it is, where a call itself does not tell."""
    sent_at: datetime | None = None
    """By the batch. A call's own goes before it."""
    context: Fields = NOTHING
    """The context of the batch."""
    events: frozenset[str] | None = None
    """Names that a track call may have; None: any."""
    addresses: Addresses = "full"
    """What is kept of `context.ip`."""
    untimed: When | None = None
    """The times of a call that tells none; made once, for the first of them."""
    seen: tuple[msgspec.Raw, Surroundings] | None = None
    """The context of the last call and what it says: most calls of a batch have the same one, which is read once."""


class Record(msgspec.Struct, gc=False):
    """What is written to Kafka for one call."""

    key: bytes
    hash: int
    value: bytes
    when: When


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
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: msgspec.Raw = msgspec.Raw(b"")
    write_key: Any = None
    historical: Any = None


class _Items(msgspec.Struct, gc=False):
    """The body of a batch."""

    batch: list[Item]


_item: Final = msgspec.json.Decoder(Item)
_items: Final = msgspec.json.Decoder(_Items)
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything: Final = msgspec.json.Decoder(dict[str, Any])
_sorted: Final = msgspec.json.Encoder(order="sorted")

_TOO_LARGE: Final = Refused("call_too_large", "the call is larger than this collector takes")
_NO_OBJECT: Final = Refused("not_an_object", "a call is a JSON object")
_NO_JSON: Final = Refused("invalid_json", "the text is no JSON")
_BAD_NUMBER: Final = Refused("bad_number", "a number is out of range")
_UNKNOWN_TYPE: Final = Refused("unknown_type", f"the type of a call is one of {', '.join(CALL_TYPES)}")
_BAD_PROPERTIES: Final = Refused("bad_properties", "properties are a JSON object")
_BAD_TRAITS: Final = Refused("bad_traits", "traits are a JSON object")
_BAD_CONTEXT: Final = Refused("bad_context", "the context is a JSON object")
_BAD_ID: Final = Refused("bad_message_id", f"a message id is text or an integer of at most {MESSAGE_ID_MAX} characters")
_BAD_TIME: Final = Refused("bad_timestamp", "a time is text in ISO 8601")
_FAR_TIME: Final = Refused("time_out_of_range", f"the time is not from {clock.EARLIEST:%Y} to before {clock.LATEST:%Y}")
_BAD_ALIAS: Final = Refused("bad_alias", "an alias names a previousId and a userId that can be used")
_NO_GROUP: Final = Refused("missing_group", "a group call names a groupId that can be used")
_NO_SUBJECT: Final = Refused("no_subject", "the call names neither a person nor a thing by a value that can be used")


def read(raw: bytes, most_bytes: int) -> Item | Refused:
    """Decode a call, or say why it can't be: every reader after us uses this decoder and takes what it takes."""
    if len(raw) > most_bytes:
        return _TOO_LARGE
    try:
        item = _item.decode(raw)
    except (ValueError, RecursionError) as problem:
        return unreadable(raw, problem, _misshapen(problem))
    return text.flaw(raw) or item


def read_context(raw: bytes, most_bytes: int) -> dict[str, Any] | Refused:
    """Decode the context of a batch under the same rules."""
    if len(raw) > most_bytes:
        return _TOO_LARGE
    try:
        context = _anything.decode(raw)
    except (ValueError, RecursionError) as problem:
        return unreadable(raw, problem, _BAD_CONTEXT)
    return text.flaw(raw) or context


def unreadable(raw: bytes, problem: Exception, no_object: Refused) -> Refused:
    """Why a decoder did not take this text; `no_object` is for JSON of another shape."""
    if isinstance(problem, RecursionError):
        return text.TOO_DEEP
    if isinstance(problem, UnicodeDecodeError) or not text.is_utf8(raw):
        return text.NO_UTF8
    if isinstance(problem, msgspec.ValidationError):
        return _BAD_NUMBER if "out of range" in str(problem) else no_object
    return text.BAD_CHARACTER if text.has_half_character(raw) else _NO_JSON


def read_all(whole: bytes, calls: Sequence[bytes], most_bytes: int) -> Sequence[Item | Refused]:
    """What `read` makes of each call of a batch; in one go, where nothing is wrong with any of them."""
    if text.are_sound(whole, calls) and max(map(len, calls)) <= most_bytes:
        with suppress(ValueError, RecursionError):
            return _items.decode(whole).batch
    return [read(call, most_bytes) for call in calls]


def take(raw: bytes, receipt: Receipt) -> Record | Refused:
    """The record of a call that says itself of which type it is."""
    item = read(raw, receipt.call_bytes_max)
    return item if type(item) is Refused else record(raw, item, item.type, receipt)


def record(raw: bytes, item: Item, kind: Any, receipt: Receipt) -> Record | Refused:
    """The record of a call that was read; `kind` is its type, as the path or the call itself says."""
    seen = receipt.seen
    around = seen[1] if seen is not None and seen[0] == item.context else _surroundings(item.context, receipt)
    if type(around) is Refused:
        return around
    report = _track(item, receipt) if kind == "track" else _other(item, kind, receipt)
    if type(report) is Refused:
        return report
    named = None
    if not report and item.user_id is not None:
        # An act is of a person. A user id needs no look at the rest.
        named = subject(receipt.namespace, "user_id", item.user_id)
    if named is None:
        named = _named(item, kind, receipt.namespace, around, report=report)
        if named is None:
            return _NO_SUBJECT
    untold = item.timestamp is None and item.original_timestamp is None and item.sent_at is None
    when = (receipt.untimed or untimed(receipt)) if untold else _when(item, receipt)
    if type(when) is Refused:
        return when
    message_id = item.message_id
    if type(message_id) is not str or not 0 < len(message_id) <= MESSAGE_ID_MAX:
        message_id = _other_id(raw, message_id, kind)
        if isinstance(message_id, Refused):
            return message_id
    if item.type != kind or item.write_key is not None or around.address is not None:
        raw = _tidied(raw, kind, around.address, receipt.addresses)
    value = receipt.envelope.around(raw, around.sender, when.occurred_at, message_id, clamped=when.clamped)
    return Record(named[0], named[1], value, when)


def _other_id(raw: bytes, given: object, kind: str) -> str | Refused:
    """The id of a call that is no short text; without one a hash of it but for sentAt, so that a retry meets itself."""
    if type(given) is int:
        given = str(given)
    if given is None or given == "":
        try:
            call = _anything.decode(raw)
        except (ValueError, RecursionError) as problem:
            # It stands in a field that nobody else reads.
            return unreadable(raw, problem, _NO_OBJECT)
        call.pop("sentAt", None)
        call.pop("writeKey", None)
        call["type"] = kind
        return "h-" + blake2b(_sorted.encode(call), digest_size=16).hexdigest()
    return given if type(given) is str and len(given) <= MESSAGE_ID_MAX else _BAD_ID


def _when(item: Item, receipt: Receipt) -> When | Refused:
    """When it happened by the clock that counts, of a call that tells some time."""
    told = item.timestamp if item.timestamp is not None else item.original_timestamp
    try:
        sent_at = receipt.sent_at if item.sent_at is None else clock.parse(item.sent_at)
        if told is None:
            return When(receipt.received_at, False, sent_at)  # noqa: FBT003 - by name it takes twice the time
        instant = clock.parse(told)
    except ValueError:
        return _BAD_TIME
    if not receipt.trusted:
        return When(*clock.corrected(receipt.received_at, instant, sent_at), sent_at)
    if clock.EARLIEST <= instant < clock.LATEST:
        return When(instant, False, sent_at)  # noqa: FBT003 - the same
    return _FAR_TIME


def untimed(receipt: Receipt) -> When:
    """The times of a call that tells none."""
    receipt.untimed = When(receipt.received_at, clamped=False, sent_at=receipt.sent_at)
    return receipt.untimed


def _surroundings(raw: msgspec.Raw, receipt: Receipt) -> Surroundings | Refused:
    """What the context of a call says; kept for the calls after it."""
    context = _context(raw)
    if type(context) is Refused:
        return context
    shared = receipt.context
    traits = context["traits"] if "traits" in context else shared.get("traits")
    said = Surroundings(
        (sender_of(context["library"]) if "library" in context else None) or receipt.sender,
        traits if isinstance(traits, dict) else NOTHING,
        context["device"] if "device" in context else shared.get("device"),
        (context["ip"] or "") if receipt.addresses != "full" and "ip" in context else None,
    )
    receipt.seen = raw, said
    return said


def _context(raw: msgspec.Raw) -> Fields | Refused:
    """The context of a call, decoded."""
    given = bytes(raw)
    if given in NO_CONTEXT:
        return NOTHING
    try:
        return _anything.decode(given)
    except (ValueError, RecursionError) as problem:
        return unreadable(given, problem, _BAD_CONTEXT)


def _misshapen(problem: Exception) -> Refused:
    """Which part of a call is no object, by what the decoder says."""
    said = str(problem)
    return _BAD_PROPERTIES if "$.properties" in said else _BAD_TRAITS if "$.traits" in said else _NO_OBJECT


def _other(item: Item, kind: object, receipt: Receipt) -> Literal[False] | Refused:
    """Why a call that is no track is not taken, or False: it is no report."""
    if type(kind) is not str or kind not in _TYPES:
        return _UNKNOWN_TYPE
    if kind == "alias":
        if not receipt.trusted:
            return NEEDS_SERVER
        if usable(item.previous_id) is None or usable(item.user_id) is None:
            return _BAD_ALIAS
    elif kind == "group" and usable(item.group_id) is None:
        return _NO_GROUP
    return False


def _track(item: Item, receipt: Receipt) -> bool | Refused:
    """Whether a track is a report, or why it can't be taken."""
    asked = demands.asked(item.event, receipt.events)
    if type(asked) is Refused:
        return asked
    assert isinstance(asked, Demands)
    if asked is NOTHING_ASKED:
        return False
    return demands.met(asked, item.event, item.properties or NOTHING, trusted=receipt.trusted)


def _named(item: Item, kind: str, namespace: str, around: Surroundings, *, report: bool) -> Subject | None:
    """Whom an act is of that names no user, or what a track call is about."""
    properties = item.properties or NOTHING
    if not report:
        # The traits of a group call are the account's: its mailbox is nobody's own.
        own = item.traits or NOTHING if kind != "group" else NOTHING
        places = (own, around.traits, properties)
        if (person := person_named(namespace, item.anonymous_id, places, around.device)) is not None:
            return person
    return thing_named(namespace, properties) if kind == "track" else None


def _tidied(raw: bytes, kind: str, address: object, keep: Addresses) -> bytes:
    """The call with its type, what may be kept of an address, and no write key: it is nobody's business after this."""
    fields = _fields.decode(raw)
    fields.pop("writeKey", None)
    if address is not None:
        fields["context"] = msgspec.Raw(addresses.in_context(fields["context"], address, keep))
    fields["type"] = msgspec.Raw(b'"%b"' % kind.encode())
    return msgspec.json.encode(fields)
