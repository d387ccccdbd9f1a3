"""Write keys: who may send touchpoints, from where, how many, into which namespace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

if TYPE_CHECKING:
    from pathline.storage.connection import Db

Kind = Literal["browser", "server"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Addresses = Literal["full", "truncated", "none"]
ADDRESSES: tuple[Addresses, ...] = get_args(Addresses)
PrivacySignal = Literal["note", "refuse"]
PRIVACY_SIGNALS: tuple[PrivacySignal, ...] = get_args(PrivacySignal)

_COLUMNS: Final = (
    "name, key, kind, namespace, loopback_only, created_at, revoked_at, old_key, old_until, policy::text AS policy"
)


class Policy(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a key may send, beyond its kind. An empty list and a zero set no limit of their own.

    A field that is not known here may be a restriction: a policy is read whole or not at all.
    """

    origins: tuple[str, ...] = ()
    """Sites that may send with it: `https://shop.example`, or `https://*.shop.example` for all below."""
    events: tuple[str, ...] = ()
    """Names that its track calls may have."""
    calls_per_second: int = 0
    """Calls in the long run."""
    burst: int = 0
    """Calls at once; 0: ten seconds' worth."""
    body_bytes_max: int = 0
    call_bytes_max: int = 0
    batch_calls_max: int = 0
    addresses: Addresses | None = None
    """What is kept of `context.ip`; None: what its kind has."""
    privacy_signal: PrivacySignal = "note"
    """What to do with calls of a browser that sends Global Privacy Control."""


class WriteKey(NamedTuple):
    """One row. `key` is the secret itself; a `loopback_only` key is refused from any other machine."""

    name: str
    key: str
    kind: Kind
    namespace: str
    loopback_only: bool
    created_at: datetime
    revoked_at: datetime | None
    old_key: str | None = None
    """The secret before the last rotation, taken until `old_until`."""
    old_until: datetime | None = None
    policy: Policy | None = Policy()
    """None: a newer version set it, and this one cannot read all of it. Then the key may not be used."""


async def create(
    db: Db,
    *,
    name: str,
    key: str,
    kind: Kind,
    namespace: str = "default",
    loopback_only: bool = False,
    policy: Policy | None = None,
) -> WriteKey | None:
    """Add a key; None when the name or the key is taken, also by a revoked or rotated one."""
    row = await db.fetchrow(
        "INSERT INTO write_key (name, key, kind, namespace, loopback_only, policy)"
        " SELECT $1, $2, $3, $4, $5, $6::json WHERE NOT EXISTS (SELECT FROM write_key WHERE old_key = $2)"
        f" ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
        name,
        key,
        kind,
        namespace,
        loopback_only,
        _text(policy or Policy()),
    )
    return None if row is None else _key(row)


async def list_all(db: Db) -> list[WriteKey]:
    """Every key, revoked ones too, by name."""
    return [_key(row) for row in await db.fetch(f"SELECT {_COLUMNS} FROM write_key ORDER BY name")]


async def active(db: Db) -> list[WriteKey]:
    """The keys that may be used now; an old secret is there only while it is still taken."""
    rows = await db.fetch(
        "SELECT name, key, kind, namespace, loopback_only, created_at, revoked_at,"
        " CASE WHEN old_until > now() THEN old_key END AS old_key, old_until, policy::text AS policy"
        " FROM write_key WHERE revoked_at IS NULL ORDER BY name"
    )
    return [_key(row) for row in rows]


async def find(db: Db, name: str) -> WriteKey | None:
    """The key in use of this name, locked against other changes."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM write_key WHERE name = $1 AND revoked_at IS NULL FOR UPDATE", name
    )  # fmt: skip
    return None if row is None else _key(row)


async def set_policy(db: Db, name: str, policy: Policy) -> None:
    """Change what the key of this name may send."""
    await db.execute("UPDATE write_key SET policy = $2::json WHERE name = $1", name, _text(policy))


async def rotate(db: Db, name: str, *, key: str, overlap: timedelta) -> bool:
    """Give the key of this name a new secret; the one it has now is taken for `overlap` more. False: none in use."""
    rotated = await db.fetchval(
        "UPDATE write_key SET old_key = key, old_until = now() + $3, key = $2"
        " WHERE name = $1 AND revoked_at IS NULL RETURNING true",
        name,
        key,
        overlap,
    )
    return bool(rotated)


async def revoke(db: Db, name: str) -> bool:
    """End a key for ever; False when there is none of that name in use. What it sent stays."""
    revoked = await db.fetchval(
        "UPDATE write_key SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL RETURNING true", name
    )
    return bool(revoked)


def _text(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()


def _key(row: Any) -> WriteKey:
    return WriteKey(**{**dict(row), "policy": _policy(row["policy"])})


def _policy(text: str) -> Policy | None:
    try:
        return msgspec.json.decode(text, type=Policy)
    except msgspec.ValidationError:
        return None
