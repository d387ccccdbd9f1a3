"""What couriers tell of a parcel: every scan that carries a time, under an id that is the same in each delivery.

Couriers' integrations send the whole history of a parcel each time. A scan's id is a hash of what it says, so that a
scan which was told before is a copy of a touchpoint that is known, and a lost delivery is made good by the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.ingest.providers.outgoing import NOBODY, Person, message_id, track
from services.ingest.providers.payload import ITEMS_MAX, Fields, fingerprint

SCANNED: Final = "Shipment Scanned"
CREATED: Final = "Shipment Created"
REPORTED: Final = "Shipment Reported"
"""A word about a parcel that claims none of the statuses that Pathline knows."""

HOMEWARD: Final = frozenset({"returning", "returned"})
TROUBLES: Final = frozenset({"attempt_failed", "delayed", "exception", "lost"}) | HOMEWARD


class Scan(NamedTuple):
    """One scan."""

    when: str | None
    status: str | None
    """Of the vocabulary; None: it claims none."""
    written: str
    """Status and detail as the provider writes them."""
    message: str | None = None
    """What the carrier says, in its words."""
    location: str | None = None

    def properties(self) -> Fields:
        """What it tells of the parcel."""
        told = {"status": self.status, "provider_status": self.written, "location": self.location}
        told["carrier_status"] = self.message if self.status and self.message else self.written
        told["reason"] = self.message if self.status in TROUBLES else None
        return told


class Parcel(NamedTuple):
    """A parcel as a delivery tells of it."""

    number: str | None = None
    carrier: str | None = None
    order_id: str | None = None
    estimated_at: str | None = None
    promised_at: str | None = None
    who: Person = NOBODY

    def names(self) -> Fields:
        """Which parcel of which order it is."""
        return {"tracking_number": self.number, "order_id": self.order_id, "carrier": self.carrier}


def told(parcel: Parcel, scans: Iterable[Scan], when: str | None) -> list[bytes]:
    """The calls that tell of a parcel.

    Args:
        parcel: which one.
        scans: its history, in any order.
        when: the time of the delivery.
    """
    timed = sorted({scan for scan in scans if scan.when is not None}, key=lambda scan: (scan.when, scan.written))
    history = _turned(timed[-ITEMS_MAX:])
    calls = [created(parcel, when)] if parcel.order_id is not None else []
    for number, (scan, status) in enumerate(history, start=1):
        newest = number == len(history)
        calls.append(scanned(parcel, scan, status, parcel.estimated_at if newest else None))
    return calls


def created(parcel: Parcel, when: str | None) -> bytes:
    """That a parcel is part of an order, and when it is expected: told again only when one of these is another."""
    expected = {"estimated_at": parcel.estimated_at, "promised_at": parcel.promised_at}
    told_as = message_id("shipment", fingerprint(*parcel.names().values(), *expected.values()))
    return track(CREATED, told_as, when, parcel.names() | expected, parcel.who)


def scanned(
    parcel: Parcel, scan: Scan, status: str | None, estimated_at: str | None = None, told_as: str | None = None
) -> bytes:  # fmt: skip
    """One scan; known again by what it says, unless it has an id."""
    if told_as is None:
        told_as = message_id("scan", fingerprint(parcel.number, parcel.carrier, *scan._replace(status=None)))
    properties = parcel.names() | scan.properties() | {"status": status, "estimated_at": estimated_at}
    return track(SCANNED if status else REPORTED, told_as, scan.when, properties, parcel.who)


def _turned(history: list[Scan]) -> list[tuple[Scan, str | None]]:
    """Each scan with its status: a parcel that was on its way back is delivered to its sender."""
    turned, homeward = [], False
    for scan in history:
        homeward = homeward or scan.status in HOMEWARD
        turned.append((scan, "returned" if homeward and scan.status == "delivered" else scan.status))
    return turned
