"""Sources of webhooks: which provider sends to the address of this name, and what it signs with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathline.storage.connection import Db

_COLUMNS: Final = "name, provider, secret, namespace, created_at, old_secret, old_until, revoked_at"


class WebhookSource(NamedTuple):
    """One row."""

    name: str
    provider: str
    secret: str
    """What the provider signs with, as it shows it."""
    namespace: str
    created_at: datetime
    old_secret: str | None = None
    """The secret before the last rotation, taken until `old_until`."""
    old_until: datetime | None = None
    revoked_at: datetime | None = None

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """What is taken at this time, the newest first."""
        if self.old_secret is None or self.old_until is None or self.old_until <= now:
            return (self.secret,)
        return self.secret, self.old_secret


async def create(
    db: Db, *, name: str, provider: str, secret: str, namespace: str = "default"
) -> WebhookSource | None:  # fmt: skip
    """Add a source; None when the name is taken, also by a revoked one."""
    row = await db.fetchrow(
        "INSERT INTO webhook_source (name, provider, secret, namespace) VALUES ($1, $2, $3, $4) "
        f"ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
        name,
        provider,
        secret,
        namespace,
    )
    return None if row is None else WebhookSource(*row)


async def list_all(db: Db) -> list[WebhookSource]:
    """Every source, revoked ones too, by name."""
    return [WebhookSource(*row) for row in await db.fetch(f"SELECT {_COLUMNS} FROM webhook_source ORDER BY name")]


async def active(db: Db) -> list[WebhookSource]:
    """The sources that may be used now."""
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM webhook_source WHERE revoked_at IS NULL ORDER BY name")
    return [WebhookSource(*row) for row in rows]


async def rotate(db: Db, name: str, *, secret: str, overlap: timedelta) -> bool:
    """Give the source of this name a new secret; the one it has now is taken for `overlap` more. False: none in use."""
    # The same secret again is no rotation: it must not push the one before it out.
    rotated = await db.fetchval(
        "UPDATE webhook_source SET old_secret = CASE WHEN secret = $2 THEN old_secret ELSE secret END,"
        " old_until = CASE WHEN secret = $2 THEN old_until ELSE now() + $3 END, secret = $2"
        " WHERE name = $1 AND revoked_at IS NULL RETURNING true",
        name,
        secret,
        overlap,
    )
    return bool(rotated)


async def revoke(db: Db, name: str) -> bool:
    """End a source for ever, and forget its secrets; False: none in use. What it sent stays."""
    revoked = await db.fetchval(
        "UPDATE webhook_source SET revoked_at = now(), secret = '', old_secret = NULL, old_until = NULL"
        " WHERE name = $1 AND revoked_at IS NULL RETURNING true",
        name,
    )
    return bool(revoked)
