"""Customers by the million, in a database where some thousands of them are active and the rest only are there.

The active ones were stitched; the others are copies of one of them under other ids, made in the server by one statement
a table. Ids of both are spread evenly and rows lie in the order of ids, so that the active ones are scattered over all
pages, as those of a business are whose customers come back now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathline.storage.connection import Db

CHUNKS: Final = 500
"""Parts of the range of ids that are sorted by themselves."""

BYTES_A_CUSTOMER: Final = 4_000
"""Disk that one takes while it is made, about: rows, indexes, and their part of the log."""

ORDERS_EVERY: Final = 3
"""One in so many customers has an order."""

_PREFIX: Final = "('x' || left(id::text, 8))::bit(32)::bigint"
_VISITOR: Final = "kind = 'anonymous_id' AND parent_id IS NOT NULL"
_STATE: Final = "(SELECT state FROM one_{0}), 1::bigint, (SELECT fold_version FROM one_{0})"
_COLUMNS: Final = """
SELECT attname AS name FROM pg_attribute
WHERE attrelid = 'touchpoint'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def _id(salt: str, count: int) -> str:
    """The id of customer number i: its first 32 bits rise with i, so that indexes are filled from left to right."""
    return f"(lpad(to_hex(i * 4294967296 / {count}), 8, '0') || substr(md5('{salt}' || i), 9))::uuid"


async def grow(db: Db, count: int) -> None:
    """Add so many customers to those that are there, each with a user_id and a visitor, some with an order.

    Each also has a touchpoint of this week, which is known as counted.
    """
    await db.execute("SET synchronous_commit = off")
    for table, where in (
        ("identifier", _VISITOR),
        ("strand", "id IN (SELECT id FROM identifier WHERE kind = 'user_id')"),
        ("entity", "kind = 'order' AND claim IS NOT NULL"),
        ("touchpoint", "true"),
    ):
        await db.execute(f"CREATE TEMP TABLE one_{table} AS SELECT * FROM {table} WHERE {where} LIMIT 1")
    user, visitor, order, met = (_id(salt, count) for salt in ("user", "visitor", "order", "touchpoint"))
    number = "lpad(i::text, 9, '0')"
    await _scatter(
        db,
        "identifier",
        count,
        f"{user}, 'default', 'user_id', 'customer-' || {number}, 0::smallint, NULL::uuid, NULL::boolean,"
        " NULL::timestamptz, NULL::json",
        f"{visitor}, 'default', 'anonymous_id', md5('cookie' || i), 3::smallint, {user}, true, now(),"
        " (SELECT pointer FROM one_identifier)",
    )
    await _scatter(db, "strand", count, f"{user}, {_STATE.format('strand')}")
    await _scatter(
        db,
        "entity",
        count // ORDERS_EVERY,
        f"{order}, 'default', 'order', 'order-' || {number}, {user}, (SELECT claim FROM one_entity), NULL::uuid,"
        f" NULL::json, {_STATE.format('entity')}",
    )
    every = f"generate_series(0::bigint, {count} - 1) AS i"
    await db.execute(f"INSERT INTO seen SELECT {met}, now() FROM {every}")
    own = {"subject": user, "id": met, "received_at": "now()"}
    columns = ", ".join(own.get(row["name"], f'one."{row["name"]}"') for row in await db.fetch(_COLUMNS))
    await db.execute(f"INSERT INTO touchpoint SELECT {columns} FROM one_touchpoint AS one, {every}")
    await db.execute("DISCARD TEMP")
    await db.execute("RESET synchronous_commit")


async def _scatter(db: Db, table: str, count: int, *kinds: str) -> None:
    """Write the table anew: what it holds, and `count` rows of each of these kinds among it."""
    await db.execute(f"CREATE TEMP TABLE held AS SELECT * FROM {table}")
    await db.execute(f"CREATE INDEX ON held (({_PREFIX}))")
    await db.execute("ANALYZE held")
    await db.execute(f"TRUNCATE {table}")
    await db.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    part = f"generate_series(chunk * {count} / {CHUNKS}, (chunk + 1) * {count} / {CHUNKS} - 1) AS i"
    ids = f"chunk * 4294967296 / {CHUNKS} AND (chunk + 1) * 4294967296 / {CHUNKS} - 1"
    rows = " UNION ALL ".join(f"SELECT {columns} FROM {part}" for columns in kinds)
    await db.execute(
        f"INSERT INTO {table} SELECT part.* FROM generate_series(0::bigint, {CHUNKS} - 1) AS chunk CROSS JOIN LATERAL ("
        f"SELECT * FROM held WHERE {_PREFIX} BETWEEN {ids} UNION ALL {rows} ORDER BY 1) AS part"
    )
    await db.execute("DROP TABLE held")


async def settle(db: Db) -> None:
    """Statistics and visibility as after a while, nothing left to be written."""
    await db.execute("VACUUM (ANALYZE) identifier, strand, entity, seen, touchpoint")
    for table in ("identifier", "strand", "entity"):
        await db.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
    await db.execute("CHECKPOINT")
