"""What was alerted before, and keeping what judging makes of it. The story's watch row is locked by then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pathline.domain.alerts import Alert
from pathline.domain.assessing import Episode
from pathline.domain.judging import Change
from pathline.storage import alerts
from pathline.storage.alerts import COLUMNS, FIELDS

if TYPE_CHECKING:
    from pathline.storage.connection import Db

_ALIVE: Final = f"""
SELECT {COLUMNS} FROM alert
WHERE entity_id = ANY($1::uuid[]) AND {alerts.IS_ALIVE} ORDER BY id FOR UPDATE
"""

_SPENT: Final = f"""
SELECT c.detector AS spender, c.cause, {", ".join(f"a.{name}" for name in FIELDS)}
FROM unnest($1::text[], $2::text[]) AS t (detector, cause)
JOIN alert_cause c ON c.detector = t.detector AND c.cause = t.cause
JOIN alert a ON a.id = c.alert_id
"""

_LATEST: Final = f"""
SELECT DISTINCT ON (detector, entity_id) {COLUMNS} FROM alert
WHERE entity_id = ANY($1::uuid[]) ORDER BY detector, entity_id, episode DESC
"""

_INSERT: Final = (
    f"INSERT INTO alert ({COLUMNS}) VALUES ({', '.join(f'${place}' for place in range(1, len(FIELDS) + 1))})"
)


async def clocks(db: Db, touchpoints: str) -> tuple[datetime, datetime | None]:
    """The database's clock, and the least time up to which the partitions of touchpoints are read.

    Ask before reading the state that is judged: what was read by then is in it.
    """
    row = await db.fetchrow(
        "SELECT clock_timestamp() AS clock, (SELECT min(through) FROM fence WHERE topic = $1) AS through", touchpoints
    )
    assert row is not None
    return row["clock"], row["through"]


async def alive(db: Db, entity_ids: Collection[UUID]) -> dict[Episode, Alert]:
    """The alerts of these things that last, locked."""
    found = [alerts.alert_of(row) for row in await db.fetch(_ALIVE, list(entity_ids))]
    return {(alert.detector, alert.entity_id): alert for alert in found}


async def spent(db: Db, causes: Collection[tuple[str, str]]) -> dict[tuple[str, str], Alert]:
    """For each (detector, cause) that ever raised an alert, that alert."""
    listed = list(causes)
    rows = await db.fetch(_SPENT, [detector for detector, _ in listed], [cause for _, cause in listed])
    owners = {}
    for row in rows:
        values = dict(row)
        key = (values.pop("spender"), values.pop("cause"))
        owners[key] = alerts.alert_from(values)
    return owners


async def latest(db: Db, entity_ids: Collection[UUID]) -> dict[Episode, Alert]:
    """The last episode of each detector about these things."""
    found = [alerts.alert_of(row) for row in await db.fetch(_LATEST, list(entity_ids))]
    return {(alert.detector, alert.entity_id): alert for alert in found}


async def keep(db: Db, changes: Sequence[Change]) -> None:
    """Write what judging said: alerts, the causes they spend, and the notices to every endpoint.

    Raises:
        asyncpg.UniqueViolationError: somebody alerted the same meanwhile; roll back, and judge again.
    """
    await _spend(db, changes)
    await db.executemany(_INSERT, [alerts.values_of(change.alert) for change in changes if change.new])
    await alerts.update(db, [change.alert for change in changes if not change.new])
    await alerts.record(db, [change.notice for change in changes if change.notice is not None])


async def alive_by_detector(db: Db) -> dict[str, tuple[int, int]]:
    """How many alerts last, by detector: those that were told, and shadows."""
    rows = await db.fetch(
        "SELECT detector, count(*) FILTER (WHERE NOT shadow) AS told, count(*) FILTER (WHERE shadow) AS shadows"
        f" FROM alert WHERE {alerts.IS_ALIVE} GROUP BY detector"
    )
    return {row["detector"]: (row["told"], row["shadows"]) for row in rows}


async def _spend(db: Db, changes: Sequence[Change]) -> None:
    rows = [
        (change.alert.detector, cause, change.alert.id) for change in changes for cause in dict.fromkeys(change.causes)
    ]
    if rows:
        await db.execute(
            "INSERT INTO alert_cause (detector, cause, alert_id)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[])",
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
        )
