"""Write keys: who may send touchpoints, from where, into which namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from datetime import datetime

    from pathline.storage.connection import Db

Kind = Literal["browser", "server"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_COLUMNS = "name, key, kind, namespace, loopback_only, created_at, revoked_at"


class WriteKey(NamedTuple):
    """One row. `key` is the secret itself; a `loopback_only` key is refused from any other machine."""

    name: str
    key: str
    kind: Kind
    namespace: str
    loopback_only: bool
    created_at: datetime
    revoked_at: datetime | None


async def create(
    db: Db, *, name: str, key: str, kind: Kind, namespace: str = "default", loopback_only: bool = False
) -> WriteKey | None:
    """Add a key; None when the name or the key is taken, also by a revoked one."""
    row = await db.fetchrow(
        "INSERT INTO write_key (name, key, kind, namespace, loopback_only) VALUES ($1, $2, $3, $4, $5) "
        f"ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
        name,
        key,
        kind,
        namespace,
        loopback_only,
    )
    return None if row is None else WriteKey(*row)


async def list_all(db: Db) -> list[WriteKey]:
    """Every key, revoked ones too, by name."""
    return [WriteKey(*row) for row in await db.fetch(f"SELECT {_COLUMNS} FROM write_key ORDER BY name")]


async def active(db: Db) -> list[WriteKey]:
    """The keys that may be used now."""
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM write_key WHERE revoked_at IS NULL ORDER BY name")
    return [WriteKey(*row) for row in rows]


async def revoke(db: Db, name: str) -> bool:
    """End a key for ever; False when there is none of that name in use. What it sent stays."""
    revoked = await db.fetchval(
        "UPDATE write_key SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING true", name
    )
    return bool(revoked)
