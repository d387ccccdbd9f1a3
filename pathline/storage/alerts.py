"""Alerts: reading them, and keeping what judging and people make of them.

Lock order everywhere: the story's watch row, then the alert. Stores never commit; whoever calls
opens the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pathline.domain import alerts as life
from pathline.domain.alerts import Alert, Conflict, Move, Moved, Notice, Refused
from pathline.storage import looks, outbox, watch

if TYPE_CHECKING:
    from asyncpg import Record

    from pathline.storage.connection import Db

Cursor = tuple[datetime, UUID]
"""(opened_at, id) of the last alert of a page."""

FIELDS: Final = (
    "id", "detector", "entity_id", "story_id", "namespace", "entity_kind", "entity_value", "severity", "state", "title",
    "ease", "episode", "previous_id", "blind", "why", "amount", "currency", "assignee", "claimed_until",
    "snoozed_until", "opened_at", "updated_at", "resolved_at", "resolution", "revision", "shadow",
    "detector_version",
)  # fmt: skip
COLUMNS: Final = ", ".join(FIELDS)
IS_ALIVE: Final = "state IN ('open', 'acknowledged', 'snoozed')"
"""What lasts, in the words of the partial indexes."""
UNCHANGED_RISK: Final = frozenset({"note", "acknowledge", "assign", "woken"})
"""What becomes of an alert that changes nothing for its customer's risk; after all else they are looked at."""
_END: Final[Cursor] = (datetime.fromisoformat("9999-12-31T00:00:00+00:00"), UUID(int=2**128 - 1))

_MATCHING: Final = """
WHERE {shown} AND (opened_at, id) < ($1, $2)
  AND ($3::text[] IS NULL OR state = ANY($3)) AND ($4::text[] IS NULL OR severity = ANY($4))
  AND ($5::text[] IS NULL OR detector = ANY($5)) AND ($6::text IS NULL OR assignee = $6)
ORDER BY opened_at DESC, id DESC LIMIT $7
"""

_SHOWN: Final = {False: "NOT shadow", True: "shadow", None: "true"}
"""Written out, as each has an index of its own."""

_LIST: Final = {
    which: f"SELECT {COLUMNS} FROM alert {_MATCHING.format(shown=shown)}" for which, shown in _SHOWN.items()
}

# Materialized, so that a customer without alerts costs no walk through everybody's.
_LIST_OF: Final = {
    which: f"WITH theirs AS MATERIALIZED (SELECT {COLUMNS} FROM alert WHERE entity_id = ANY($8::uuid[]))"
    f" SELECT {COLUMNS} FROM theirs {_MATCHING.format(shown=shown)}"
    for which, shown in _SHOWN.items()
}

_SET: Final = ", ".join(f"{name} = ${place}" for place, name in enumerate(FIELDS[1:], start=2))

_why: Final = msgspec.json.Decoder(tuple[str, ...])


class Event(msgspec.Struct, frozen=True):
    """What was done to an alert, by whom. `detail` is what the kind calls for."""

    id: int
    alert_id: UUID
    at: datetime
    actor: str
    kind: str
    detail: dict[str, Any]


def alert_of(row: Record) -> Alert:
    """An alert from a row with the columns of COLUMNS."""
    return alert_from(dict(row))


def alert_from(values: dict[str, Any]) -> Alert:
    """An alert from the values of FIELDS by name."""
    return Alert(**{**values, "why": _why.decode(values["why"])})


def values_of(alert: Alert) -> list[Any]:
    """The values of FIELDS, for a statement."""
    values = [getattr(alert, name) for name in FIELDS]
    values[FIELDS.index("why")] = msgspec.json.encode(alert.why).decode()
    return values


def cursor_of(alert: Alert) -> Cursor:
    """Its place in the list, to go on from."""
    return alert.opened_at, alert.id


async def list_alerts(
    db: Db,
    *,
    state: Sequence[str] | None = None,
    severity: Sequence[str] | None = None,
    detector: Sequence[str] | None = None,
    subjects: Iterable[UUID] | None = None,
    assignee: str | None = None,
    shadow: bool | None = False,
    limit: int = 100,
    cursor: Cursor | None = None,
) -> list[Alert]:
    """A page of alerts, newest first. None means any.

    Args:
        db: a connection.
        state: any of these.
        severity: any of these.
        detector: any of these.
        subjects: ids of things, and of strands: for a customer, all that it owns and all its identifiers.
        assignee: whose.
        shadow: those of detectors on trial, or None for both kinds.
        limit: how many at most.
        cursor: `cursor_of` the last one of the page before.
    """
    at, one = cursor or _END
    asked = (at, one, _any(state), _any(severity), _any(detector), assignee, limit)
    rows = await (
        db.fetch(_LIST[shadow], *asked) if subjects is None else db.fetch(_LIST_OF[shadow], *asked, list(subjects))
    )
    return [alert_of(row) for row in rows]


async def get(db: Db, alert_id: UUID) -> Alert | None:
    """One alert."""
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM alert WHERE id = $1", alert_id)
    return None if row is None else alert_of(row)


async def events(db: Db, alert_id: UUID, limit: int = 1_000) -> list[Event]:
    """What happened to an alert, oldest first; of more than `limit` the newest."""
    rows = await db.fetch(
        "SELECT id, alert_id, at, actor, kind, detail FROM alert_event WHERE alert_id = $1 ORDER BY id DESC LIMIT $2",
        alert_id,
        limit,
    )
    return [Event(**{**dict(row), "detail": msgspec.json.decode(row["detail"])}) for row in reversed(rows)]


async def move(db: Db, alert_id: UUID, asked: Move, actor: str, now: datetime) -> Moved | Conflict | Refused | None:
    """Do what a person asks for; None when there is no such alert. Must run in a transaction.

    The alert, its event and the notices to every endpoint are one write; a snoozed story wakes by itself.
    """
    story_id = await db.fetchval("SELECT story_id FROM alert WHERE id = $1", alert_id)
    if story_id is None:
        return None
    await watch.lock(db, [story_id])
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM alert WHERE id = $1 FOR UPDATE", alert_id)
    if row is None:
        return None
    alert = alert_of(row)
    resolved_by = None if alert.alive else await _resolved_by(db, alert_id)
    moved = life.apply(alert, asked, actor, now, resolved_by=resolved_by)
    if not isinstance(moved, Moved) or not moved.changed:
        return moved
    await update(db, [moved.alert])
    if moved.alert.snoozed_until is not None:
        await watch.hasten(db, moved.alert.story_id, moved.alert.snoozed_until)
    await record(db, [Notice(moved.kind, actor, now, moved.alert, moved.detail)])
    return moved


async def update(db: Db, alerts: Iterable[Alert]) -> None:
    """Write alerts that exist and are locked."""
    await db.executemany(f"UPDATE alert SET {_SET} WHERE id = $1", [values_of(alert) for alert in alerts])


async def record(db: Db, notices: Sequence[Notice]) -> None:
    """Append what happened, and have it told but of shadows; part of the transaction that wrote the alerts."""
    if not notices:
        return
    await db.execute(
        "INSERT INTO alert_event (alert_id, at, actor, kind, detail)"
        " SELECT e.alert_id, e.at, e.actor, e.kind, e.detail::json"
        " FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])"
        " WITH ORDINALITY AS e (alert_id, at, actor, kind, detail, place) ORDER BY e.place",
        [n.alert.id for n in notices],
        [n.at for n in notices],
        [n.actor for n in notices],
        [n.change for n in notices],
        [msgspec.json.encode(n.detail).decode() for n in notices],
    )
    told = [one for one in notices if not one.alert.shadow]
    await outbox.enqueue(db, told)
    await looks.ask(db, {one.alert.entity_id for one in told if one.change not in UNCHANGED_RISK})


async def _resolved_by(db: Db, alert_id: UUID) -> str | None:
    actor: str | None = await db.fetchval(
        "SELECT actor FROM alert_event WHERE alert_id = $1 AND kind = 'resolve' ORDER BY id DESC LIMIT 1", alert_id
    )
    return actor


def _any(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
