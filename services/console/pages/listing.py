"""The inbox's list: what it is filtered by, and alerts as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from pathline.domain.alerts import ALIVE, SEVERITIES, Alert
from pathline.storage import alerts, customers
from pathline.storage.customers import Caller
from services.console import cursors
from services.console.api.answers import text_of
from services.console.cursors import Place
from services.console.errors import ApiError
from services.console.pages import words
from services.console.pages.forms import MAX_FIELDS

if TYPE_CHECKING:
    from pathline.storage.connection import Db

PAGE_ROWS: Final = 50
"""Alerts of one page."""

VIEWS: Final[dict[str, frozenset[str]]] = {
    "open": frozenset({"open", "acknowledged"}),
    "mine": ALIVE,
    "snoozed": frozenset({"snoozed"}),
    "resolved": frozenset({"resolved", "expired"}),
}
"""What each view of the inbox shows, by state; `mine` only what its reader has."""
VIEW_WORDS: Final = {"open": "Open", "mine": "Mine", "snoozed": "Snoozed", "resolved": "Resolved"}


class Filter(msgspec.Struct, frozen=True):
    """What the inbox shows."""

    me: str
    view: str = "open"
    severity: str | None = None
    detector: str | None = None

    @property
    def assignee(self) -> str | None:
        """Whose alerts alone."""
        return self.me if self.view == "mine" else None

    @property
    def narrowed(self) -> bool:
        """Whether more than the view is asked for."""
        return self.severity is not None or self.detector is not None

    def matches(self, alert: Alert) -> bool:
        """Whether an alert belongs in the list."""
        return (
            alert.state in VIEWS[self.view]
            and self.severity in {None, alert.severity}
            and self.detector in {None, alert.detector}
            and self.assignee in {None, alert.assignee}
        )

    def query(self, **changes: str | None) -> str:
        """`?view=...`: this filter with changes, as the rest of an address; empty for the usual one."""
        named = {"view": self.view, "severity": self.severity, "detector": self.detector, **changes}
        given = {name: value for name, value in named.items() if value and (name, value) != ("view", "open")}
        return f"?{urlencode(given)}" if given else ""

    def path(self, **changes: str | None) -> str:
        """The inbox under this filter with changes."""
        return f"/{self.query(**changes)}"


def filter_of(me: str, view: str | None, severity: str | None, detector: str | None) -> Filter:
    """The filter that an address means. Raises ApiError."""
    code = "bad_parameter"
    if (view or "open") not in VIEWS:
        raise ApiError(code, f"view is one of {', '.join(VIEWS)}")
    if severity and severity not in SEVERITIES:
        raise ApiError(code, f"severity is one of {', '.join(SEVERITIES)}")
    return Filter(me, view or "open", severity or None, text_of("detector", detector) or None)


def shown_in(address: str, me: str) -> Filter | None:
    """The filter of the page at an address; None where that is not the inbox, or not one that can be."""
    try:
        parts = urlsplit(address)
        asked = dict(parse_qsl(parts.query, max_num_fields=MAX_FIELDS))
        wanted = filter_of(me, asked.get("view"), asked.get("severity"), asked.get("detector"))
    except (ValueError, ApiError):
        return None
    return wanted if parts.path == "/" else None


class Row(msgspec.Struct, frozen=True):
    """An alert in a list."""

    alert: Alert
    who: Caller | None
    matches: bool = True
    """Whether the list that asked would show it; one that no longer belongs there stays until the next visit."""
    conflict: str | None = None
    """Why the reader's move was not made."""

    @property
    def key(self) -> str:
        """Its place in the list as text that sorts like it, newest last."""
        return words.key(self.alert.opened_at, self.alert.id)


class Rows(msgspec.Struct, frozen=True):
    """A page of rows; `next` is the cursor of the next."""

    rows: list[Row]
    next: str | None


async def page_of(db: Db, wanted: Filter, cursor: Place | None) -> Rows:
    """The page of the inbox after a cursor."""
    found = await alerts.list_alerts(
        db,
        state=sorted(VIEWS[wanted.view]),
        severity=_one(wanted.severity),
        detector=_one(wanted.detector),
        assignee=wanted.assignee,
        limit=PAGE_ROWS + 1,
        cursor=cursor,
    )
    rows = await rows_of(db, found[:PAGE_ROWS])
    return Rows(rows, cursors.to_text(alerts.cursor_of(found[PAGE_ROWS - 1])) if len(found) > PAGE_ROWS else None)


async def rows_of(db: Db, found: Sequence[Alert], wanted: Filter | None = None, **more: Any) -> list[Row]:
    """These alerts with whom they are about."""
    owners = await customers.of_alerts(db, found)
    callers = await customers.callers(db, set(owners.values()))
    return [
        Row(
            alert,
            callers.get(owners[alert.id]) if alert.id in owners else None,
            wanted is None or wanted.matches(alert),
            **more,
        )
        for alert in found
    ]


def _one(word: str | None) -> list[str] | None:
    return None if word is None else [word]
