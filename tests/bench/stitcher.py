"""The stitcher's whole transaction against a bare insert and upsert of the same rows, in one run, on one connection.

The baseline writes every touchpoint's row, its dedupe row and one upsert of a journey row a customer, in batches of
the same size, with the same indexes, and does nothing else. Both write to real PostgreSQL with fsync on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg

from pathline.contracts import accepted, hint
from pathline.contracts.reading import to_touchpoint
from pathline.storage import fences, partitions
from pathline.storage.fences import Advance
from services.stitcher.app import read_stages
from services.stitcher.batch import collect
from services.stitcher.transaction import stitch
from tests.bench.figures import Figure
from tests.bench.traffic import records

BATCH = 1_000
BATCHES = 30
CUSTOMERS = 10_000
TOPIC = "bench.touchpoints"
GOAL = 0.35
ROUNDS = 3


async def baseline(db: asyncpg.Connection, values: Sequence[bytes]) -> float:
    """Seconds to write the rows of these touchpoints with nothing around them. Decoding is not counted."""
    rows = [to_touchpoint(accepted.decode(value)) for value in values]
    started = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        subjects = sorted({t.subject.id for t in batch if t.subject is not None})
        async with db.transaction():
            await db.execute(
                "INSERT INTO seen (id, received_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])"
                " ON CONFLICT DO NOTHING",
                [t.id for t in batch],
                [t.received_at for t in batch],
            )
            await db.execute(
                "INSERT INTO touchpoint (subject, occurred_at, id, received_at, message_id, source, type, event,"
                ' channel, stage, moment_of_truth, historical, partition, "offset", entities, body)'
                " SELECT s, o, i, r, m, 'bench', 'track', e, 'web', 'engagement', false, false, 0, 0, '{}', b"
                " FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],"
                " $7::json[]) AS t (s, o, i, r, m, e, b)",
                [t.subject.id for t in batch if t.subject is not None],
                [t.occurred_at for t in batch],
                [t.id for t in batch],
                [t.received_at for t in batch],
                [t.message_id for t in batch],
                [t.event for t in batch],
                [t.body for t in batch],
            )
            await db.execute(
                "INSERT INTO strand (id, state, revision, fold_version)"
                " SELECT id, '{\"count\":1}', 1, 1 FROM unnest($1::uuid[]) AS t (id)"
                " ON CONFLICT (id) DO UPDATE SET revision = strand.revision + 1",
                subjects,
            )
    return time.perf_counter() - started


async def ours(db: asyncpg.Connection, values: Sequence[bytes], offset: int) -> float:
    """Seconds to decode and stitch them, hints encoded, with identity, entities and facts."""
    stages = read_stages(None)
    known: dict[Any, Any] = {}
    held = await fences.take(db, TOPIC, 0, "bench")
    expected = held.next_offset
    started = time.perf_counter()
    for first in range(0, len(values), BATCH):
        batch = collect({0: [_record(offset + first + n, v) for n, v in enumerate(values[first : first + BATCH])]})
        move = Advance(0, held.epoch, expected, offset + first + BATCH, datetime.now(UTC))
        async with db.transaction():
            done = await stitch(db, TOPIC, batch, [move], stages, known)
        hint.encode(done.hints, datetime.now(UTC))
        expected = move.next_offset
    return time.perf_counter() - started


def _record(offset: int, value: bytes) -> Any:
    return SimpleNamespace(partition=0, offset=offset, key=None, value=value, headers=(), timestamp=0)


async def run(dsn: str) -> list[Figure]:
    """Alternate the two, and take the median of the ratios. `dsn` is a migrated database that may be filled."""
    db = await asyncpg.connect(dsn)
    try:
        await partitions.ensure(db, datetime.now(UTC))
        pairs: list[tuple[float, float]] = []
        for turn in range(ROUNDS + 1):
            count = BATCH * BATCHES
            bare = await baseline(db, records(count, customers=CUSTOMERS, seed=100 + turn))
            full = await ours(db, records(count, customers=CUSTOMERS, seed=200 + turn), turn * count)
            pairs.append((count / full, count / bare))
        measured = sorted(pairs[1:], key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    finally:
        await db.close()
    ratio = measured[0] / measured[1]
    return [
        Figure(
            name="stitcher transaction, batches of 1,000, one connection", value=measured[0], unit="touchpoints/s",
            limit=measured[1], ratio=ratio, goal=f">= {GOAL} of a bare insert + upsert", met=ratio >= GOAL,
        )
    ]  # fmt: skip
