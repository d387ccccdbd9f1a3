"""What is asked of a track call for the name of its event, and whether the call meets it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from pathline.domain.identifiers import usable
from pathline.domain.vocabulary import SHIPMENT_STATUSES, THING_PROPERTIES, event_of, is_report
from services.ingest.codes import Refused
from services.ingest.passes import BAD_EVENT
from services.ingest.subject import Fields

EVENT_NAME_MAX: Final = 100
EVENTS_KNOWN: Final = 1_024
"""Names of events, of at most EVENT_NAME_MAX characters, remembered with what is asked of them."""

NEEDS_SERVER: Final = Refused("needs_server_key", "a browser key sends no reports, no alias and no history")

_NAMING: Final = frozenset(THING_PROPERTIES.values())
_SCANNED: Final = "Shipment Scanned"

_NO_EVENT: Final = Refused("missing_event", "a track call names its event")
_UNKNOWN_STATUS: Final = Refused("unknown_status", f"status is one of {', '.join(sorted(SHIPMENT_STATUSES))}")


class Demands(NamedTuple):
    """What is asked of a track call for its event's name."""

    report: bool
    """Whether it is one, unless its property `by` says otherwise."""
    unless: bool
    """Whether that property may say so."""
    required: tuple[tuple[str, ...], ...]
    """Properties it must have; of each inner tuple one is enough."""
    status: bool
    """Whether its property `status` is one of a shipment's."""


NOTHING_ASKED: Final = Demands(report=False, unless=False, required=(), status=False)
"""Of most events, all that a sender makes up among them."""


def asked(event: object, events: frozenset[str] | None) -> Demands | Refused:
    """What is asked of a track of this event; `events` are the names that its key may send, None: any."""
    if type(event) is not str or not event:
        return _NO_EVENT
    if events is not None and event not in events:
        return BAD_EVENT
    return _remembered(event) if len(event) <= EVENT_NAME_MAX else _demanded(event)


def met(demands: Demands, event: str, properties: Fields, *, trusted: bool) -> bool | Refused:
    """Whether a track of this event is a report, or why it can't be taken; `trusted`: its key is a server's."""
    report, unless, required, status = demands
    if unless:
        report = is_report(event, properties.get("by"))
    if report and not trusted:
        return NEEDS_SERVER
    for names in required:
        for name in names:
            value = properties.get(name)
            # One that names a thing must be usable for that.
            if value is not None and value != "" and (name not in _NAMING or usable(value) is not None):
                break
        else:
            return Refused("missing_property", f"{event} needs {' or '.join(names)}")
    if status:
        said = properties["status"]
        if type(said) is not str or said not in SHIPMENT_STATUSES:
            return _UNKNOWN_STATUS
    return report


def _demanded(event: str) -> Demands:
    report = is_report(event)
    unless = report != is_report(event, "customer")
    demands = Demands(report, unless, event_of(event).required, event == _SCANNED)
    return NOTHING_ASKED if demands == NOTHING_ASKED else demands


_remembered: Final = lru_cache(maxsize=EVENTS_KNOWN)(_demanded)
