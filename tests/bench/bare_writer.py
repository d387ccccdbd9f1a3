"""The least program that could be a stitcher: the baseline that `services/stitcher` is held against.

It writes the rows that the stitcher writes, into the same tables with the same indexes, in transactions of the same
size, on one connection with fsync on: each touchpoint, its mark in `seen` (the dedupe index), and one upsert a row of the
identifiers, strands and entities that the batch concerns. All of it is decoded, folded and encoded before the clock
starts. It reads no log, looks at nothing that is stored, locks nothing, joins nothing, and sends no hint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.fold import Changes
from pathline.domain.identifiers import STRENGTH, Identifier
from pathline.domain.stages import Stages
from pathline.storage import codec

if TYPE_CHECKING:
    from pathline.storage.connection import Db

Statement = tuple[str, list[list[Any]]]
"""SQL, and a list of values for each of its parameters."""

SEEN = "INSERT INTO seen (id, received_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT DO NOTHING"
IDENTIFIER = (
    "INSERT INTO identifier (id, namespace, kind, value, strength, parent_id, parent_trusted, parent_at, pointer)"
    " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::uuid[],"
    " $7::boolean[], $8::timestamptz[], $9::json[]) ON CONFLICT DO NOTHING"
)
STRAND = (
    "INSERT INTO strand (id, state, revision, fold_version)"
    " SELECT id, state, 1, 1 FROM unnest($1::uuid[], $2::json[]) AS c (id, state)"
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, revision = strand.revision + 1"
)
ENTITY = (
    "INSERT INTO entity (id, namespace, kind, value, state, claimant_id, claim, order_id, order_bond, revision,"
    " fold_version) SELECT c.*, 1, 1 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[], $6::uuid[],"
    " $7::json[], $8::uuid[], $9::json[]) AS c ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
    " claimant_id = excluded.claimant_id, claim = excluded.claim, order_id = excluded.order_id,"
    " order_bond = excluded.order_bond, revision = entity.revision + 1"
)
TOUCHPOINT = (
    "INSERT INTO touchpoint (subject, occurred_at, id, received_at, message_id, source, type, event, channel, stage,"
    ' moment_of_truth, historical, partition, "offset", entities, body)'
    " SELECT subject, occurred_at, id, received_at, message_id, source, type, event, channel, stage, moment, historical,"
    " 0, place, string_to_array(entities, ',')::uuid[], body"
    " FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],"
    " $8::text[], $9::text[], $10::text[], $11::boolean[], $12::boolean[], $13::bigint[], $14::text[], $15::json[])"
    " AS c (subject, occurred_at, id, received_at, message_id, source, type, event, channel, stage, moment, historical,"
    " place, entities, body)"
)


def batches_of(values: Sequence[bytes], stages: Stages, size: int) -> list[list[Statement]]:
    """What the baseline is given: the rows of these records, so many records a batch, ready to be written."""
    return [_statements(values[first : first + size], stages, first) for first in range(0, len(values), size)]


async def write(db: Db, batches: Sequence[Sequence[Statement]]) -> float:
    """Seconds to write these, each in a transaction of its own."""
    started = time.perf_counter()
    for batch in batches:
        async with db.transaction():
            for sql, columns in batch:
                await db.execute(sql, *columns)
    return time.perf_counter() - started


def _statements(values: Sequence[bytes], stages: Stages, first: int) -> list[Statement]:
    changes = Changes(stages)
    for value in values:
        changes.add(to_touchpoint(accepted.decode(value)))
    touchpoints = [one.touchpoint for one in changes.stitched]
    return [
        (SEEN, _columns(sorted((t.id, t.received_at) for t in touchpoints))),
        (IDENTIFIER, _columns(sorted((_person(changes, one) for one in changes.people), key=_id))),
        (STRAND, _columns(sorted((_strand(changes, one) for one in changes.states.keys() - changes.things), key=_id))),
        (ENTITY, _columns(sorted((_entity(changes, one) for one in changes.things), key=_id))),
        (TOUCHPOINT, _columns([_touchpoint(one, first + n) for n, one in enumerate(changes.stitched)])),
    ]


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _id(row: Sequence[Any]) -> Any:
    return row[0]


def _person(changes: Changes, person: Identifier) -> Sequence[Any]:
    pointer = changes.parents.get(person)
    parent: Sequence[Any] = (None, None, None, None)
    if pointer is not None:
        best = pointer.best
        parent = (best.target, best.rank[1] == 0, best.at, codec.to_json(pointer))
    return person.id, *person, STRENGTH[person.kind], *parent


def _strand(changes: Changes, person: Identifier) -> Sequence[Any]:
    return person.id, codec.to_json(changes.states[person])


def _entity(changes: Changes, thing: Identifier) -> Sequence[Any]:
    claim, order = changes.claims.get(thing), changes.orders.get(thing)
    return (
        thing.id,
        *thing,
        codec.to_json(changes.states[thing]),
        None if claim is None else claim.target,
        None if claim is None else codec.to_json(claim),
        None if order is None else order.target,
        None if order is None else codec.to_json(order),
    )


def _touchpoint(one: Any, place: int) -> Sequence[Any]:
    t = one.touchpoint
    entities = ",".join(map(str, one.entities))
    return (
        one.subject, t.occurred_at, t.id, t.received_at, t.message_id, t.source, t.type, t.event, t.channel, one.stage,
        one.moment_of_truth, t.historical, place, entities, t.body,
    )  # fmt: skip
