"""Standard Webhooks: any sender that signs as https://www.standardwebhooks.com has it.

Signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from pathline.domain.vocabulary import CALL_TYPES, SHIPMENT_STATUSES, VOCABULARY
from services.ingest.codes import Refused
from services.ingest.providers import payload, signatures
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import Person, kept, message_id, person, track
from services.ingest.providers.parcels import REPORTED, SCANNED
from services.ingest.providers.payload import Fields, Table, as_instant, as_text, fingerprint, text

EVENTS: Final = {name.lower().replace(" ", "."): name for name in VOCABULARY}
"""`type` to our event: `shipment.scanned` is Shipment Scanned, and so are `shipment_scanned` and `Shipment Scanned`."""

USER_ID: Final[Table] = {"user_id": text("user_id", "userId")}
TRAITS: Final[Table] = {"email": text("email"), "phone": text("phone"), "name": text("name")}
COUNTRY: Final[Table] = {"country": text("country")}
"""Of `data`, whose fields are the properties of the event; these name the person."""

SIGNED: Final = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
PREFIX: Final = "whsec_"
VERSION: Final = b"v1,"

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def key_of(secret: str) -> bytes | None:
    """The key that a secret is, or None where it is none."""
    try:
        return b64decode(secret.removeprefix(PREFIX).rstrip("=") + "==", validate=True) or None
    except (binascii.Error, ValueError):
        return None


def secret_flaw(secret: str) -> str | None:
    """Why a text can be no secret."""
    return None if key_of(secret) is not None else f"base64, with or without {PREFIX} before it"


def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, seconds: float) -> Refused | None:
    """The check of the signature over id, time and body."""
    told_as, told_at, given = (delivery.headers.get(name, b"").strip() for name in SIGNED)
    if not (told_as and told_at and given):
        return signatures.MISSING
    content = b".".join((told_as, told_at, delivery.raw))
    expected = [VERSION + signatures.base64_of(key, content) for key in map(key_of, secrets) if key is not None]
    return (
        signatures.check_time(told_at, now, seconds) if signatures.matches(given.split(), expected) else signatures.BAD
    )


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery: a Segment call as it is, else an event by the name of its type."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    event_id = as_text(delivery.headers.get(b"webhook-id", b"").decode("ascii", "replace"))
    told_as = message_id(event_id or fingerprint(delivery.raw))
    kind = as_text(body.get("type")) or ""
    if kind in CALL_TYPES:
        return Translation([_call(delivery.raw, told_as)])
    when, data = as_instant(body.get("timestamp")), payload.fields(body, "data")
    event = EVENTS.get(kind.lower().replace(" ", ".").replace("_", "."))
    if event is None:
        return Translation([kept("standard", kind, told_as, when, delivery.raw, _who(data))], known=False)
    properties: dict[str, Any] = data
    known = event != SCANNED or as_text(data.get("status")) in SHIPMENT_STATUSES
    if not known:
        event = REPORTED
        properties = data | {"status": None, "carrier_status": as_text(data.get("status"))}
    return Translation([track(event, told_as, when, properties, _who(data))], known)


def _call(raw: bytes, told_as: str) -> bytes:
    """A Segment call, under the id of the delivery and without a write key."""
    call = _fields.decode(raw)
    call.pop("writeKey", None)
    call["messageId"] = msgspec.Raw(msgspec.json.encode(told_as))
    return msgspec.json.encode(call)


def _who(data: Fields) -> Person:
    return person(data, USER_ID, TRAITS, COUNTRY)


PROVIDER: Final = Provider("standard", verify, translate, secret_flaw)
