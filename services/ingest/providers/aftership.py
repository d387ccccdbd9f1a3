"""AfterShip: parcels of any courier.

What arrives: https://www.aftership.com/docs/tracking/webhook/webhook-specifications
Its signature: https://www.aftership.com/docs/tracking/webhook/webhook-signature
Tags and subtags: https://www.aftership.com/docs/tracking/enum/delivery-statuses and .../delivery-sub-statuses
"""

from __future__ import annotations

import re
from typing import Final

from services.ingest.codes import Refused
from services.ingest.providers import parcels, payload
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import Person, kept, message_id
from services.ingest.providers.parcels import Parcel, Scan
from services.ingest.providers.payload import Fields, Table, as_instant, as_text, day, fingerprint, first, number, text
from services.ingest.providers.signatures import base64_of, of_body

EVENTS: Final = frozenset({"tracking_update", "edd_revise", "tracking_pending_time"})
"""Each brings the whole parcel; what is new in it becomes Shipment Created and Shipment Scanned."""

TAGS: Final = {
    "Pending": None,
    "InfoReceived": "label_created",
    "InTransit": "in_transit",
    "OutForDelivery": "out_for_delivery",
    "AttemptFail": "attempt_failed",
    "Delivered": "delivered",
    "AvailableForPickup": "available_for_pickup",
    "Exception": "exception",
    "Expired": "exception",
}
"""`tag` to our status. Pending claims none: the courier knows nothing yet. Expired: nothing was heard for 30 days."""

SUBTAGS: Final = {
    "InTransit_002": "picked_up",
    "Exception_004": "delayed",
    "Exception_005": "delayed",
    "Exception_016": "delayed",
    "Exception_017": "delayed",
    "Exception_010": "returning",
    "Exception_011": "returned",
    "Exception_013": "lost",
}
"""Where `subtag` says it better than the tag."""

PARCEL: Final[Table] = {
    "number": text("tracking_number"),
    "carrier": text("slug"),
    "order_id": number("order_number", "order_id"),
    "promised_at": day("order_promised_delivery_date", "promised_delivery_date"),
    "estimated_at": first(
        (
            "latest_estimated_delivery",
            "courier_estimated_delivery_date",
            "aftership_estimated_delivery_date",
            "first_estimated_delivery",
            "expected_delivery",
        ),
        lambda told: (
            day("datetime_max", "datetime", "estimated_delivery_date")(told)
            if isinstance(told, dict)
            else payload.as_day(told)
        ),
    ),
}
"""Of `msg`. A number that shops print as #1001 is 1001 here."""

COUNTRY: Final = ("country_region", "country_iso3")
"""Of a checkpoint, by the newer name and the older."""

ZONE: Final = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d)$")
"""At the end of a time that names one."""


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    event, when = as_text(body.get("event")) or "", as_instant(body.get("ts"))
    tracking = payload.fields(body, "msg")
    parcel = Parcel(**payload.picked(PARCEL, tracking), who=_who(tracking))
    if event not in EVENTS:
        told_as = message_id(as_text(body.get("event_id")) or fingerprint(delivery.raw))
        return Translation([kept("aftership", event, told_as, when, delivery.raw, parcel.who)], known=False)
    checkpoints = payload.items(tracking, "checkpoints", payload.LOOKED_AT_MAX)
    scans = [_scan(checkpoint, when) for checkpoint in checkpoints]
    told = parcels.told(parcel, scans, when, _as_it_stands(tracking, when))
    known = all(as_text(one.get("tag")) in TAGS for one in (tracking, *checkpoints))
    return Translation(told, known)


def _who(tracking: Fields) -> Person:
    """The customer. Of several mailboxes nobody knows whose each is."""
    mailboxes = tracking.get("emails")
    only = mailboxes[0] if isinstance(mailboxes, list) and len(mailboxes) == 1 else None
    told = as_text(payload.at(tracking, "customers.0.email")) or as_text(only)
    return Person(traits={} if told is None else {"email": told})


def _scan(checkpoint: Fields, delivered: str | None) -> Scan:
    noted, added = as_instant(checkpoint.get("checkpoint_time")), as_instant(checkpoint.get("created_at"))
    return Scan(
        _when(noted, added, delivered, as_text(checkpoint.get("checkpoint_time")) or ""),
        _status(checkpoint),
        _written(checkpoint),
        as_text(checkpoint.get("message")),
        payload.place(checkpoint, "city", "state", *COUNTRY) or as_text(checkpoint.get("location")),
        noted,
    )


def _when(noted: str | None, added: str | None, delivered: str | None, written: str) -> str | None:
    """The time of a checkpoint: one that names no zone is of the carrier's place, which nobody tells.

    It is read as UTC, but is never after AfterShip knew of it: else a scan in Tokyo would be nine hours ahead of what
    comes after it. One in New York stays five hours early.
    """
    if noted is None:
        return added
    known = [one for one in (added, delivered) if one is not None]
    return noted if ZONE.search(written) else min([noted, *known])


def _as_it_stands(tracking: Fields, when: str | None) -> Scan:
    return Scan(when, _status(tracking), _written(tracking), as_text(tracking.get("subtag_message")))


def _status(told: Fields) -> str | None:
    tag, subtag = as_text(told.get("tag")) or "", as_text(told.get("subtag")) or ""
    return SUBTAGS.get(subtag) or TAGS.get(tag)


def _written(told: Fields) -> str:
    return as_text(told.get("subtag")) or as_text(told.get("tag")) or ""


PROVIDER: Final = Provider("aftership", of_body(b"aftership-hmac-sha256", base64_of), translate)
