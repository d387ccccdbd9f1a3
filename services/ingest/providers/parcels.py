"""What couriers tell of a parcel: every scan that carries a time, under an id that is the same in each delivery.

Couriers' integrations send the whole history of a parcel each time. A scan's id is a hash of the parcel's number, its
time and the status as it is written, so that a scan which was told before is a copy of a touchpoint that is known, and
a lost delivery is made good by the next. Carriers' names, places and messages are no part of it: they are spelled in
another way by the next version of a provider's API, and a whole history would count twice.
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
    noted: str | None = None
    """The time as the provider has it, where `when` is a better one."""

    @property
    def key(self) -> tuple[str | None, str]:
        """What it is known again by, of its parcel."""
        return self.noted or self.when, self.written

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


def told(parcel: Parcel, scans: Iterable[Scan], when: str | None, state: Scan | None) -> list[bytes]:
    """The calls that tell of a parcel.

    Args:
        parcel: which one.
        scans: its history, in any order.
        when: the time of the delivery.
        state: where it stands now; told where no scan says so. None: a scan is known to say it.
    """
    history = _turned(_in_order(scans)[-ITEMS_MAX:])
    calls = [created(parcel, when)] if parcel.order_id is not None else []
    for number, (scan, status) in enumerate(history, start=1):
        newest = number == len(history)
        calls.append(scanned(parcel, scan, status, parcel.estimated_at if newest else None))
    # Told once until the next scan, whatever is delivered in between.
    since = history[-1][0].key if history else None
    if state is not None:
        _, status = _turned([*(scan for scan, _ in history), state])[-1]
        if _is_news(state, status, history):
            told_as = message_id("state", fingerprint(parcel.number, state.written, since))
            calls.append(scanned(parcel, state, status, parcel.estimated_at, told_as))
    if parcel.order_id is None and parcel.estimated_at is not None:
        calls.append(_estimated(parcel, when, since))
    return calls


def _in_order(scans: Iterable[Scan]) -> list[Scan]:
    """Those that have a time, each once; of two with one key the same one is left in whatever order they come."""
    timed = sorted((scan for scan in scans if scan.when is not None), key=lambda scan: tuple(map(str, scan)))
    return sorted({scan.key: scan for scan in timed}.values(), key=lambda scan: (scan.when, scan.key))


def _is_news(state: Scan, status: str | None, history: list[tuple[Scan, str | None]]) -> bool:
    """Whether a state says what no scan does: the provider found it by itself, or has no scan yet."""
    if not history:
        return True
    said = any(scan.written == state.written for scan, _ in history)
    return bool(state.written) and not said and status != history[-1][1]


def created(parcel: Parcel, when: str | None) -> bytes:
    """That a parcel is part of an order, and when it is expected: told again only when one of these is another."""
    expected = {"estimated_at": parcel.estimated_at, "promised_at": parcel.promised_at}
    told_as = message_id("shipment", fingerprint(*parcel.names().values(), *expected.values()))
    return track(CREATED, told_as, when, parcel.names() | expected, parcel.who)


def _estimated(parcel: Parcel, when: str | None, since: object) -> bytes:
    """When a parcel is expected whose order nobody names: it may be another day without a new scan."""
    told_as = message_id("estimate", fingerprint(parcel.number, parcel.estimated_at, since))
    return track(REPORTED, told_as, when, parcel.names() | {"estimated_at": parcel.estimated_at}, parcel.who)


def scanned(
    parcel: Parcel, scan: Scan, status: str | None, estimated_at: str | None = None, told_as: str | None = None
) -> bytes:  # fmt: skip
    """One scan; known again by its time and what is written, unless it has an id."""
    if told_as is None:
        told_as = message_id("scan", fingerprint(parcel.number, *scan.key))
    properties = parcel.names() | scan.properties() | {"status": status, "estimated_at": estimated_at}
    return track(SCANNED if status else REPORTED, told_as, scan.when, properties, parcel.who)


def _turned(history: list[Scan]) -> list[tuple[Scan, str | None]]:
    """Each scan with its status: a parcel that was on its way back is delivered to its sender."""
    turned, homeward = [], False
    for scan in history:
        homeward = homeward or scan.status in HOMEWARD
        turned.append((scan, "returned" if homeward and scan.status == "delivered" else scan.status))
    return turned
