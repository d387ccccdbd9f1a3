"""Counting alerts for the inbox, and reading given ones again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.domain.alerts import ALIVE, Alert
from pathline.storage import alerts

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_COUNTED: Final = 10_000
"""Where counting ends: from here on an inbox says `10,000+`."""

# Alive alerts have an index of their own, and the limit bounds what a bad day costs.
_ALIVE: Final = f"""
SELECT state, severity, assignee IS NOT DISTINCT FROM $1::text AS mine, detector, count(*) AS alerts
FROM (
    SELECT state, severity, assignee, detector FROM alert
    WHERE {alerts.IS_ALIVE} AND NOT shadow LIMIT {MAX_COUNTED}
) AS counted
GROUP BY 1, 2, 3, 4
"""

_MATCHING: Final = f"""
SELECT count(*) FROM (
    SELECT 1 FROM alert
    WHERE NOT shadow AND ($1::text[] IS NULL OR state = ANY($1)) AND ($2::text[] IS NULL OR severity = ANY($2))
      AND ($3::text[] IS NULL OR detector = ANY($3)) AND ($4::text IS NULL OR assignee = $4)
      AND id <> ALL($5::uuid[])
    LIMIT {MAX_COUNTED}
) AS counted
"""


class Counts(msgspec.Struct):
    """Alerts that are not over."""

    states: dict[str, int] = {}
    severities: dict[str, int] = {}
    """Of those open or acknowledged."""
    detectors: dict[str, int] = {}
    mine: int = 0

    @property
    def active(self) -> int:
        """Open or acknowledged."""
        return self.states.get("open", 0) + self.states.get("acknowledged", 0)

    @property
    def full(self) -> bool:
        """Whether there may be more than were counted."""
        return sum(self.states.values()) >= MAX_COUNTED


async def counts(db: Db, person: str) -> Counts:
    """How many alerts are alive, by what the inbox filters by; `person` is whose are `mine`."""
    found = Counts(dict.fromkeys(sorted(ALIVE), 0))
    for row in await db.fetch(_ALIVE, person):
        found.states[row["state"]] = found.states.get(row["state"], 0) + row["alerts"]
        found.detectors[row["detector"]] = found.detectors.get(row["detector"], 0) + row["alerts"]
        if row["mine"]:
            found.mine += row["alerts"]
        if row["state"] != "snoozed":
            found.severities[row["severity"]] = found.severities.get(row["severity"], 0) + row["alerts"]
    return found


async def others(
    db: Db,
    shown: Collection[UUID],
    *,
    state: Sequence[str] | None,
    severity: Sequence[str] | None,
    detector: Sequence[str] | None,
    assignee: str | None,
) -> int:
    """How many alerts match and are not among those shown; at most MAX_COUNTED."""
    lists = [None if one is None else list(one) for one in (state, severity, detector)]
    counted: int = await db.fetchval(_MATCHING, *lists, assignee, list(shown))
    return counted


async def again(db: Db, ids: Sequence[UUID]) -> list[Alert]:
    """These alerts as they stand now, in the order given."""
    rows = await db.fetch(f"SELECT {alerts.COLUMNS} FROM alert WHERE id = ANY($1::uuid[])", list(ids))
    found = {row["id"]: alerts.alert_of(row) for row in rows}
    return [found[one] for one in ids if one in found]
