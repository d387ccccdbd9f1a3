"""The outbox: what is to be told of alerts, one queue for each endpoint.

Rows are written in the transaction that changes the alert, so that neither can be without the
other. Each carries a delivery id that stays the same however often it is sent. Who delivers takes
a row on lease, sends it, and deletes it; if it dies in between, the lease ends and it is sent again.
Of one alert's rows only the first is given out, so that nobody reads its end before its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from pathline.domain.alerts import Notice

if TYPE_CHECKING:
    from pathline.storage.connection import Db

CONSOLE: Final = "console"
WEBHOOK: Final = "webhook"

TAKEN_AWAY: Final = "the endpoint was taken away"

MAX_ERROR: Final = 500
"""Characters kept of why a delivery failed."""

MAX_COUNTED: Final = 50_000
"""Where counting ends."""

PRUNED: Final = 1_000
"""Of the oldest rows so many are looked at for whether they are too old, so that nobody reads all that waits for it."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Notice).decode

_ENQUEUE: Final = """
INSERT INTO outbox (endpoint, delivery_id, alert_id, payload, created_at, next_attempt_at)
SELECT e.name, n.delivery_id, n.alert_id, n.payload::json, n.at, n.at
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[])
    WITH ORDINALITY AS n (delivery_id, alert_id, payload, at, place)
CROSS JOIN endpoint e WHERE e.disabled_at IS NULL
ORDER BY n.place, e.name
ON CONFLICT (endpoint, delivery_id) DO NOTHING
"""

_TAKE: Final = """
UPDATE outbox SET next_attempt_at = $2 + $4::interval, attempts = attempts + 1
WHERE id IN (
    SELECT o.id FROM outbox o
    WHERE o.endpoint = $1 AND o.failed_at IS NULL AND o.next_attempt_at <= $2
      AND NOT EXISTS (
        SELECT 1 FROM outbox before
        WHERE before.endpoint = o.endpoint AND before.alert_id = o.alert_id AND before.id < o.id
          AND before.failed_at IS NULL
      )
    ORDER BY o.next_attempt_at, o.id LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING id, delivery_id, payload, attempts, created_at
"""

_DEPTHS: Final = """
SELECT e.name,
    (SELECT count(*) FROM (
        SELECT FROM outbox o WHERE o.endpoint = e.name AND o.failed_at IS NULL LIMIT $1) AS w) AS waiting,
    (SELECT count(*) FROM (
        SELECT FROM outbox o WHERE o.endpoint = e.name AND o.failed_at IS NOT NULL LIMIT $1) AS f) AS failed
FROM endpoint e
"""


class Delivery(msgspec.Struct, frozen=True):
    """A row taken on lease. `attempts` counts this one; `delivery_id` is the same at each."""

    id: int
    delivery_id: str
    notice: Notice
    attempts: int
    created_at: datetime


async def enqueue(db: Db, notices: Sequence[Notice]) -> None:
    """Tell every endpoint that is not disabled; part of the transaction that changed the alerts."""
    if not notices:
        return
    await db.execute(
        _ENQUEUE,
        [f"{n.alert.id}:{n.alert.revision}" for n in notices],
        [n.alert.id for n in notices],
        [_encode(n).decode() for n in notices],
        [n.at for n in notices],
    )


async def take(db: Db, endpoint: str, now: datetime, limit: int, lease: timedelta) -> list[Delivery]:
    """Take up to `limit` rows that are due, oldest first; nobody else gets them before the lease ends."""
    rows = await db.fetch(_TAKE, endpoint, now, limit, lease)
    return [
        Delivery(row["id"], row["delivery_id"], _decode(row["payload"]), row["attempts"], row["created_at"])
        for row in sorted(rows, key=lambda row: row["id"])
    ]


async def delivered(db: Db, ids: Sequence[int]) -> None:
    """The endpoint has them: forget them."""
    await db.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", list(ids))


async def postpone(db: Db, row_id: int, until: datetime, error: str) -> None:
    """It did not work; try again then."""
    await db.execute(
        "UPDATE outbox SET next_attempt_at = $2, last_error = $3 WHERE id = $1", row_id, until, error[:MAX_ERROR]
    )


async def fail(db: Db, row_id: int, now: datetime, error: str) -> None:
    """It will not work: keep it for a person to see, and go on with the next."""
    await db.execute("UPDATE outbox SET failed_at = $2, last_error = $3 WHERE id = $1", row_id, now, error[:MAX_ERROR])


async def depths(db: Db) -> dict[str, tuple[int, int]]:
    """(waiting, failed for good) by endpoint; an endpoint without rows has (0, 0). Counting ends at MAX_COUNTED."""
    rows = await db.fetch(_DEPTHS, MAX_COUNTED)
    return {row["name"]: (row["waiting"], row["failed"]) for row in rows}


async def configure(db: Db, endpoint: str, address: str | None) -> None:
    """Say where an endpoint is, None for nowhere. A changed address enables it again; an absent one gets no more.

    What waits for one that is taken away has failed: set again some day, it must not be told of what is long over.
    """
    if address is None:
        await db.execute("DELETE FROM endpoint WHERE name = $1", endpoint)
        await db.execute(
            "UPDATE outbox SET failed_at = clock_timestamp(), last_error = $2"
            " WHERE endpoint = $1 AND failed_at IS NULL",
            endpoint,
            TAKEN_AWAY,
        )
        return
    await db.execute(
        "INSERT INTO endpoint (name, address) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE"
        " SET address = excluded.address, disabled_at = NULL, reason = NULL WHERE endpoint.address <> excluded.address",
        endpoint,
        address,
    )


async def disable(db: Db, endpoint: str, now: datetime, reason: str) -> None:
    """Send it nothing more: what waits for it has failed."""
    await db.execute(
        "UPDATE endpoint SET disabled_at = $2, reason = $3 WHERE name = $1 AND disabled_at IS NULL",
        endpoint,
        now,
        reason[:MAX_ERROR],
    )
    await db.execute(
        "UPDATE outbox SET failed_at = $2, last_error = $3 WHERE endpoint = $1 AND failed_at IS NULL",
        endpoint,
        now,
        reason[:MAX_ERROR],
    )


async def prune(db: Db, before: datetime) -> int:
    """Forget notices that were written before then, of the oldest PRUNED; returns how many."""
    rows = await db.fetch(
        "DELETE FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM outbox ORDER BY id LIMIT $2)) AND created_at < $1"
        " RETURNING id",
        before,
        PRUNED,
    )
    return len(rows)


async def disabled(db: Db) -> dict[str, str]:
    """The endpoints that are switched off, and why."""
    rows = await db.fetch("SELECT name, reason FROM endpoint WHERE disabled_at IS NOT NULL")
    return {row["name"]: row["reason"] or "" for row in rows}
