"""EasyPost: trackers.

What arrives: https://docs.easypost.com/docs/events and https://docs.easypost.com/docs/trackers
Its signature: https://docs.easypost.com/guides/webhooks-guide (`X-Hmac-Signature`, as its client libraries check it)
Statuses: https://docs.easypost.com/guides/tracking-guide
"""

from __future__ import annotations

import unicodedata
from typing import Final

from services.ingest.codes import Refused
from services.ingest.providers import parcels, payload
from services.ingest.providers.delivery import Delivery, Provider, Translation
from services.ingest.providers.outgoing import kept, message_id
from services.ingest.providers.parcels import Parcel, Scan
from services.ingest.providers.payload import Fields, Table, as_instant, as_text, day, fingerprint, text
from services.ingest.providers.signatures import hex_of, of_body

EVENTS: Final = frozenset({"tracker.created", "tracker.updated"})
"""`description` of an event. Each brings the whole tracker; its details become Shipment Scanned."""

STATUSES: Final = {
    "unknown": None,
    "pre_transit": "label_created",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "available_for_pickup": "available_for_pickup",
    "return_to_sender": "returning",
    "failure": "exception",
    "cancelled": "cancelled",
    "error": None,
}
"""`status` to ours. `error` is trouble with the tracker and none with the parcel."""

DETAILS: Final = {
    "received_at_origin_facility": "picked_up",
    "delayed": "delayed",
    "weather_delay": "delayed",
    "missorted": "delayed",
    "held": "exception",
    "damaged": "exception",
    "delivery_exception": "exception",
    "transit_exception": "exception",
    "refused": "exception",
    "lost": "lost",
    "return": "returning",
}
"""Where `status_detail` says it better than the status. A parcel that is delivered stays so whatever the detail."""

PARCEL: Final[Table] = {
    "number": text("tracking_code"),
    "carrier": text("carrier"),
    "estimated_at": day("est_delivery_date"),
}
"""Of `result`, the tracker. It names no order: the shop tells which order a parcel is of."""


def translate(delivery: Delivery) -> Translation | Refused:
    """The calls of a delivery."""
    body = payload.read(delivery.raw)
    if isinstance(body, Refused):
        return body
    event, tracker = as_text(body.get("description")) or "", payload.fields(body, "result")
    event_id = as_text(body.get("id")) or fingerprint(delivery.raw)
    when = as_instant(tracker.get("updated_at")) or as_instant(body.get("created_at"))
    if event not in EVENTS:
        return Translation([kept("easypost", event, message_id(event_id), when, delivery.raw)], known=False)
    parcel = Parcel(**payload.picked(PARCEL, tracker))
    details = payload.items(tracker, "tracking_details", payload.LOOKED_AT_MAX)
    back = tracker.get("is_return") is True
    scans = [_scan(detail, back=back) for detail in details]
    state = None if _is_told(tracker, details) else Scan(when, None if back else _status(tracker), _written(tracker))
    told = parcels.told(parcel, scans, when, state)
    return Translation(told, all(as_text(one.get("status")) in STATUSES for one in (tracker, *details)))


def _is_told(tracker: Fields, details: list[Fields]) -> bool:
    """Whether a detail says the tracker's status, to which the tracker itself adds nothing.

    Else a tracker that is plainly `in_transit` would undo the detail that says of the same status that it is delayed.
    """
    status, better = as_text(tracker.get("status")), as_text(tracker.get("status_detail")) in DETAILS
    timed = (detail for detail in details if as_instant(detail.get("datetime")) is not None)
    return not better and any(as_text(detail.get("status")) == status for detail in timed)


def _scan(detail: Fields, *, back: bool) -> Scan:
    """One detail. A parcel that a customer sends back claims no status: its way is no delivery of an order."""
    return Scan(
        as_instant(detail.get("datetime")),
        None if back else _status(detail),
        _written(detail),
        as_text(detail.get("message")),
        payload.place(payload.fields(detail, "tracking_location"), "city", "state", "country"),
    )


def _status(told: Fields) -> str | None:
    status, detail = as_text(told.get("status")) or "", as_text(told.get("status_detail")) or ""
    known = STATUSES.get(status)
    return known if known == "delivered" else DETAILS.get(detail, known)


def _written(told: Fields) -> str:
    parts = as_text(told.get("status")), as_text(told.get("status_detail"))
    return "/".join(part for part in parts if part is not None)


def _normalised(secret: str) -> bytes:
    """The secret as EasyPost signs with it."""
    return unicodedata.normalize("NFKD", secret).encode()


PROVIDER: Final = Provider(
    "easypost",
    of_body(b"x-hmac-signature", hex_of, prefix=b"hmac-sha256-hex=", key=_normalised),
    translate,
)
