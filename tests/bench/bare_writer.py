"""The least program that could be a stitcher: the baseline that `services/stitcher` is held against.

Touchpoints that are decoded already go to the same PostgreSQL, in transactions of the same size: one row each in
`touchpoint`, one each in `seen` with its dedupe index, and one upsert of a journey row in `strand` for each customer
in the batch. The same tables, the same indexes, fsync on. It reads no log, decodes nothing, knows no identity, keeps no
facts, sends no hint, and nothing fences it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint

if TYPE_CHECKING:
    from pathline.domain.touchpoint import Touchpoint
    from pathline.storage.connection import Db

DEDUPE = "INSERT INTO seen (id, received_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT DO NOTHING"
INSERT = (
    "INSERT INTO touchpoint (subject, occurred_at, id, received_at, message_id, source, type, event,"
    ' channel, stage, moment_of_truth, historical, partition, "offset", entities, body)'
    " SELECT s, o, i, r, m, 'bench', 'track', e, 'web', 'engagement', false, false, 0, 0, '{}', b"
    " FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],"
    " $7::json[]) AS t (s, o, i, r, m, e, b)"
)
UPSERT = (
    "INSERT INTO strand (id, state, revision, fold_version)"
    " SELECT id, '{\"count\":1}', 1, 1 FROM unnest($1::uuid[]) AS t (id)"
    " ON CONFLICT (id) DO UPDATE SET revision = strand.revision + 1"
)


def rows_of(values: Sequence[bytes]) -> list[Touchpoint]:
    """What the baseline is given: the touchpoints of these records, decoded before the clock starts."""
    return [to_touchpoint(accepted.decode(value)) for value in values]


async def write(db: Db, rows: Sequence[Touchpoint], batch: int) -> float:
    """Seconds to write these, so many a transaction."""
    started = time.perf_counter()
    for first in range(0, len(rows), batch):
        async with db.transaction():
            await _write_batch(db, rows[first : first + batch])
    return time.perf_counter() - started


async def _write_batch(db: Db, batch: Sequence[Touchpoint]) -> None:
    subjects = [t.subject.id for t in batch if t.subject is not None]
    await db.execute(DEDUPE, [t.id for t in batch], [t.received_at for t in batch])
    await db.execute(
        INSERT,
        subjects,
        [t.occurred_at for t in batch],
        [t.id for t in batch],
        [t.received_at for t in batch],
        [t.message_id for t in batch],
        [t.event for t in batch],
        [t.body for t in batch],
    )
    await db.execute(UPSERT, sorted(set(subjects)))
