"""What several dialects need: queries, base64, times, names of events, and the smallest picture."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from pathline.domain.recording import RECORDING
from pathline.domain.vocabulary import VOCABULARY
from services.ingest import arrays, batches, calls, text
from services.ingest.answers import Answer, HeaderMap
from services.ingest.codes import Refused
from services.ingest.dialects import Asked, Made, Shown, Translated

GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""One transparent pixel, 43 bytes: the smallest GIF that keeps to its standard."""

CODE_HEADER: Final = b"x-pathline-code"
"""Where an answer that is a picture says why it is a refusal."""

FIELDS_MAX: Final = 500
"""Fields of a query; a request line has room for about so many that mean something."""

DIGITS_MAX: Final = 15
"""Digits of a number that is written as text and taken for a number: so many pass through a 64-bit float unharmed."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_OF_SHOPS: Final = (
    "Products Searched", "Product List Viewed", "Product List Filtered", "Promotion Viewed", "Promotion Clicked",
    "Product Clicked", "Product Viewed", "Product Added", "Product Removed", "Cart Viewed", "Cart Shared",
    "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart", "Product Shared",
    "Product Reviewed", "Checkout Step Viewed", "Checkout Step Completed", "Coupon Entered", "Coupon Applied",
    "Coupon Denied", "Coupon Removed", "Email Opened", "Error Shown", "Element Clicked", "Rage Clicked",
    "Dead Clicked", "Page Reloaded", "Visit Ended",
)  # fmt: skip
"""Names that Pathline knows and demands nothing of: Segment's for shops, and those of our script."""

TOO_LARGE: Final = Refused("call_too_large", "the event is larger than this collector takes")
BAD_QUERY: Final = Refused("bad_query", f"a query has at most {FIELDS_MAX} fields, each a value or an object")
BAD_BASE64: Final = Refused("bad_base64", "a text that is to be base64 is not")
BAD_EVENT: Final = Refused("bad_event", "an event is an object of schema and data")
NO_OBJECT: Final = Refused("not_an_object", "a call is a JSON object")

fields: Final = msgspec.json.Decoder(dict[str, Any])
anything: Final = msgspec.json.Decoder(Any)
raw_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
encode: Final = msgspec.json.Encoder().encode


def _bare(name: str) -> str:
    """A name by its letters and digits: `order_completed`, `OrderCompleted` and `Order Completed` are one."""
    return "".join(character for character in name if character.isalnum()).casefold()


_KNOWN: Final = {_bare(name): name for name in (*_OF_SHOPS, *RECORDING, *VOCABULARY)}
_NAME_MAX: Final = 2 * max(map(len, _KNOWN.values()))


def known(name: object) -> str | None:
    """The event of the vocabulary that a name means, however it is put together; None: it means none."""
    return _KNOWN.get(_bare(name)) if isinstance(name, str) and len(name) <= _NAME_MAX else None


def query_of(query: bytes) -> dict[str, str] | Refused:
    """The fields of a query; of two of one name the first counts."""
    try:
        found = parse_qsl(query.decode(), errors="strict", max_num_fields=FIELDS_MAX)
    except UnicodeDecodeError:
        return text.NO_UTF8
    except ValueError:
        return BAD_QUERY
    fields_of: dict[str, str] = {}
    for name, value in found:
        fields_of.setdefault(name, value)
    return fields_of


def unbase64(given: object) -> bytes | Refused:
    """The bytes of a base64 text of either alphabet, with or without its padding."""
    if not isinstance(given, str):
        return BAD_BASE64
    # A plus that nobody escaped comes out of a query as a space.
    plain = given.strip().rstrip("=").replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return BAD_BASE64


def decoded(raw: bytes, decoder: msgspec.json.Decoder[Any], misshapen: Refused) -> Any:
    """What a decoder makes of a text, or the Refused that says why it does not; `misshapen`: JSON of another shape."""
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError) as problem:
        return calls.unreadable(raw, problem, misshapen)


def decoded_all(asked: Asked, decoder: msgspec.json.Decoder[Any], misshapen: Refused, field: str | None = None) -> Any:
    """The same for a body of several events, an array or an object with one as this field: no more than may be.

    Half a character in one of them must not spoil the others.
    """
    found = _few(asked.raw, asked.bounds.calls, decoder, misshapen, field)
    if found == text.BAD_CHARACTER:
        found = _few(text.marked(asked.raw), asked.bounds.calls, decoder, misshapen, field)
    return found


def _few(raw: bytes, most: int, decoder: msgspec.json.Decoder[Any], misshapen: Refused, field: str | None) -> Any:
    if arrays.exceeds(raw, most, field):
        return batches.too_many(most)
    found = decoded(raw, decoder, misshapen)
    if isinstance(found, Refused):
        return found
    events = found if field is None else getattr(found, field)
    return batches.too_many(most) if len(events) > most else events


def event_of(raw: bytes, asked: Asked, decoder: msgspec.json.Decoder[Any], misshapen: Refused) -> Any:
    """What a decoder makes of one event, if that is no larger than what could become a call."""
    return TOO_LARGE if len(raw) > asked.bounds.event_bytes else decoded(raw, decoder, misshapen)


def made(call: bytes | Refused, sent: msgspec.Raw) -> Made:
    """What was made of one event among several."""
    return Made(call, bytes(sent)) if isinstance(call, Refused) else Made(call)


def alone(call: bytes | Refused, key: object = None) -> Translated | Refused:
    """The call that a whole request is."""
    return call if isinstance(call, Refused) else Translated([Made(call)], key, alone=True)


def encoded(call: dict[str, Any]) -> bytes | Refused:
    """A call as JSON. Nothing that was decoded within bounds can't be encoded but what is too deep."""
    try:
        return encode(call)
    except RecursionError:
        return text.TOO_DEEP


def filled(pairs: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in pairs if value is not None and value != ""}


def renamed(given: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The fields that have a name here, under it."""
    return filled((ours, given.get(theirs)) for theirs, ours in names.items())


def instant_of(milliseconds: object) -> object:
    """A time in milliseconds since 1970 in ISO 8601. What is none stays as it is, and is refused where it is read."""
    told = str(milliseconds) if type(milliseconds) is int else milliseconds
    if not isinstance(told, str) or not told.isascii() or not told.isdecimal() or len(told) > DIGITS_MAX:
        return milliseconds
    try:
        return (_EPOCH + timedelta(milliseconds=int(told))).isoformat()
    except OverflowError:
        return milliseconds


def number_of(told: object) -> Any:
    """The number that a text is, or what was given."""
    if not isinstance(told, str) or not told.isascii():
        return told
    whole, point, part = told.removeprefix("-").partition(".")
    plain = whole.isdecimal() and (part.isdecimal() if point else not part) and len(whole + part) <= DIGITS_MAX
    return (float(told) if point else int(told)) if plain else told


def media_type(headers: HeaderMap) -> str:
    """What the body is said to be, without parameters."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def show_picture(answer: Answer, _asked: Asked) -> Shown:
    """A pixel, whatever happened, with the true status; a refusal's code stands in a header."""
    return picture(answer, answer.status)


def picture(answer: Answer, status: int) -> Shown:
    """The pixel, with a status of the dialect's own."""
    headers = [
        (b"content-type", b"image/gif"),
        (b"cache-control", b"no-store"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]
    if answer.code is not None:
        headers.append((CODE_HEADER, answer.code.encode()))
    return Shown(status, GIF, headers)
