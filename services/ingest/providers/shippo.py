"""Shippo: tracking.

What arrives: https://docs.goshippo.com/docs/tracking/webhooks/ and https://docs.goshippo.com/docs/tracking/tracking/
Its signature, or a token in the address: https://docs.goshippo.com/docs/tracking/webhooksecurity/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from services.ingest.codes import Refused
from services.ingest.providers import parcels, payload, signatures
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import kept, message_id
from services.ingest.providers.parcels import Parcel, Scan
from services.ingest.providers.payload import Fields, Table, as_instant, as_text, day, fingerprint, text

EVENTS: Final = frozenset({"track_updated"})
"""It brings the whole history; each entry becomes a Shipment Scanned."""

STATUSES: Final = {
    "UNKNOWN": None,
    "PRE_TRANSIT": "label_created",
    "TRANSIT": "in_transit",
    "DELIVERED": "delivered",
    "RETURNED": "returned",
    "FAILURE": "exception",
}
"""`status` to ours."""

SUBSTATUSES: Final = {
    "package_accepted": "picked_up",
    "out_for_delivery": "out_for_delivery",
    "pickup_available": "available_for_pickup",
    "delivery_attempted": "attempt_failed",
    "notice_left": "attempt_failed",
    "delayed": "delayed",
    "delivery_rescheduled": "delayed",
    "reschedule_delivery": "delayed",
    "address_issue": "exception",
    "contact_carrier": "exception",
    "location_inaccessible": "exception",
    "package_damaged": "exception",
    "package_held": "exception",
    "return_to_sender": "returning",
    "package_lost": "lost",
}
"""Where `substatus.code` says it better than the status."""

PARCEL: Final[Table] = {
    "number": text("tracking_number"),
    "carrier": text("carrier"),
    "estimated_at": day("eta", "original_eta"),
}
"""Of `data`. `metadata` is the shop's own text; where it is an order's number, that is the order."""

ORDER: Final = re.compile(r"(?:order(?:[ _-]?(?:id|number|no\.?))?[ :=]*#?|#)([\w-]{1,64})", re.IGNORECASE)
"""What is read as such: `Order 1001`, `order_number: 1001`, `#1001`."""

TOKEN_FIELDS_MAX: Final = 20
"""Fields of the query that are looked at for the token."""

_by_header: Final = signatures.of_time_and_body(b"shippo-auth-signature")


def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, seconds: float) -> Refused | None:
    """The check of a signature where there is one, else of the token in the address.

    Shippo signs only for those who asked its people for it; for all others the token is what it offers.
    """
    if b"shippo-auth-signature" in delivery.headers:
        return _by_header(delivery, secrets, now, seconds)
    try:
        shown = parse_qsl(delivery.query.decode("ascii", "replace"), max_num_fields=TOKEN_FIELDS_MAX)
    except ValueError:
        return signatures.BAD
    tokens = [value.encode("utf-8", "replace") for name, value in shown if name == "token"]
    if not tokens:
        return signatures.MISSING
    expected = [secret.encode() for secret in secrets if secret]
    return None if len(tokens) == 1 and signatures.matches(tokens, expected) else signatures.BAD


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    event, tracking = as_text(body.get("event")) or "", payload.fields(body, "data")
    now = payload.fields(tracking, "tracking_status")
    when = as_instant(now.get("object_updated")) or as_instant(now.get("status_date"))
    if event not in EVENTS:
        told_as = message_id("delivery", fingerprint(delivery.raw))
        return Translation([kept("shippo", event, told_as, when, delivery.raw)], known=False)
    number = ORDER.fullmatch(as_text(tracking.get("metadata")) or "")
    parcel = Parcel(**payload.picked(PARCEL, tracking), order_id=number and number[1])
    entries = [*payload.items(tracking, "tracking_history", payload.LOOKED_AT_MAX), *([now] if now else [])]
    told = parcels.told(parcel, map(_scan, entries), when, Scan(when, _status(now), _written(now)))
    return Translation(told, all(as_text(entry.get("status")) in STATUSES for entry in entries))


def _scan(entry: Fields) -> Scan:
    return Scan(
        as_instant(entry.get("status_date")),
        _status(entry),
        _written(entry),
        as_text(entry.get("status_details")),
        payload.place(payload.fields(entry, "location"), "city", "state", "country"),
    )


def _status(told: Fields) -> str | None:
    status, substatus = as_text(told.get("status")) or "", as_text(payload.at(told, "substatus.code")) or ""
    return SUBSTATUSES.get(substatus) or STATUSES.get(status)


def _written(told: Fields) -> str:
    parts = as_text(told.get("status")), as_text(payload.at(told, "substatus.code"))
    return "/".join(part for part in parts if part is not None)


PROVIDER: Final = Provider("shippo", verify, translate)
