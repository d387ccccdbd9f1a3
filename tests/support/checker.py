"""Was anything lost, doubled or made up? Held against what the senders were told, and a serial replay of the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from pathline.contracts import accepted
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain.facts import FOLD_VERSION, State
from pathline.kit.kafka import make_consumer
from pathline.storage import codec
from tests.support.world import World

Outcome = Literal["ok", "fail", "unknown"]
"""What a sender was told: 200; 4xx; or nothing that says (a time-out, a 5xx)."""

NEWS = "later"
"""What a state of the version after this one says, and this one knows nothing of (`tests/chaos/without.py`)."""

MOST_SAID = 5
"""Examples given of each finding."""


@dataclass
class Report:
    """What the checker found; `table` is what a person reads."""

    sent: Counter[str]
    stored: int = 0
    letters: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """Sent, stored, and everything that is wrong; a row each."""
        counts = {
            "acked": self.sent["ok"], "refused": self.sent["fail"], "unknown": self.sent["unknown"],
            "stored": self.stored, "dead letters": self.letters, "findings": len(self.findings),
        }  # fmt: skip
        return "\n".join([*(f"{name:<12} {count:>7,}" for name, count in counts.items()), *self.findings])


async def check(dsn: str, bootstrap: str, topic: str, sent: Mapping[str, Outcome]) -> Report:
    """Look at the tables after all has been read.

    Args:
        dsn: the database.
        bootstrap: Kafka.
        topic: the touchpoints'.
        sent: what became of each message id, by its sender.
    """
    report = Report(Counter(sent.values()))
    world, read = await replay(bootstrap, topic)
    db = await asyncpg.connect(dsn)
    try:
        rows = Counter[str]({r["message_id"]: r["n"] for r in await db.fetch(_STORED)})
        letters = await _dead_letter_ids(db)
        report.stored, report.letters = sum(rows.values()), len(letters)
        _outcomes(report, sent, rows, letters, read)
        await _states(report, db, world)
        await _positions(report, db, bootstrap, topic)
    finally:
        await db.close()
    return report


_STORED = "SELECT message_id, count(*) AS n FROM touchpoint GROUP BY message_id"
_MISCOUNTED = """
SELECT s.id, s.state, coalesce(t.n, 0) AS n
FROM (SELECT id, state FROM strand UNION ALL SELECT id, state FROM entity) AS s
LEFT JOIN (SELECT subject, count(*) AS n FROM touchpoint GROUP BY subject) AS t ON t.subject = s.id
"""

_STRIPPED = """
SELECT count(*) FROM (SELECT state, fold_version FROM strand UNION ALL SELECT state, fold_version FROM entity) AS s
WHERE fold_version > $1 AND (state::jsonb -> $2) IS NULL
"""


def with_news(text: str) -> str:
    """The JSON of a state as the version after this one writes it."""
    return text.removesuffix("}") + f'{"," * (text != "{}")}"{NEWS}":true}}'


async def replay(bootstrap: str, topic: str) -> tuple[World, set[str]]:
    """The topic read again from its beginning by one reader, one record after the other; and every message id in it."""
    world, read = World(), set[str]()
    for value in await read_all(bootstrap, topic):
        try:
            touchpoint = to_touchpoint(accepted.decode(value))
        except (Unreadable, ValueError):
            continue
        read.add(touchpoint.message_id)
        world.add([touchpoint])
    return world, read


async def read_all(bootstrap: str, topic: str) -> list[bytes]:
    """The values of all records of a topic, partition by partition."""
    async with _reader(bootstrap, topic) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        values: dict[TopicPartition, list[bytes]] = {tp: [] for tp in ends}
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=500, max_records=20_000)).items():
                values[tp] += [record.value for record in records]
        return [value for tp in sorted(values) for value in values[tp]]


async def ends_of(bootstrap: str, topic: str) -> dict[int, int]:
    """The end offset of each partition."""
    async with _reader(bootstrap, topic) as consumer:
        return await _ends(consumer)


async def _ends(consumer: AIOKafkaConsumer) -> dict[int, int]:
    ends = await consumer.end_offsets(list(consumer.assignment()))
    return {tp.partition: end for tp, end in ends.items()}


@asynccontextmanager
async def _reader(bootstrap: str, topic: str) -> AsyncIterator[Any]:
    """A consumer of all partitions of a topic, from their beginning."""
    consumer = make_consumer(bootstrap, topic, client_id="checker", auto_offset_reset="earliest")
    await consumer.start()
    try:
        while not consumer.assignment():
            await asyncio.sleep(0.05)
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def lags(dsn: str, bootstrap: str, topic: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Gives a function that counts the records of a topic that the fence table says nobody has handled."""
    db = await asyncpg.connect(dsn)
    try:
        async with _reader(bootstrap, topic) as consumer:
            consumer.pause(*consumer.assignment())  # it is asked often, and only where the topic ends

            async def lag() -> int:
                positions = await _table(db, topic)
                return sum(end - positions.get(partition, 0) for partition, end in (await _ends(consumer)).items())

            yield lag
    finally:
        await db.close()


async def _table(db: asyncpg.Connection, topic: str) -> dict[int, int]:
    rows = await db.fetch("SELECT partition, next_offset FROM fence WHERE topic = $1", topic)
    return {row["partition"]: row["next_offset"] for row in rows}


async def _dead_letter_ids(db: asyncpg.Connection) -> set[str]:
    ids = set()
    for row in await db.fetch("SELECT value FROM dead_letter"):
        try:
            ids.add(accepted.decode(row["value"]).message_id)
        except ValueError:
            continue
    return ids


def _outcomes(
    report: Report, sent: Mapping[str, Outcome], rows: Counter[str], letters: set[str], read: set[str]
) -> None:
    ok = {one for one, outcome in sent.items() if outcome == "ok"}
    refused = {one for one, outcome in sent.items() if outcome == "fail"}
    found = {
        "acked and in no journey and no dead letter": {one for one in ok if not rows[one] and one not in letters},
        "acked and not in the log": ok - read,
        "stored more than once": {one for one, count in rows.items() if count > 1},
        "refused and stored all the same": refused & rows.keys(),
        "stored and never sent": rows.keys() - sent.keys(),
    }
    for what, ids in found.items():
        if ids:
            report.findings.append(f"{len(ids)} {what}: {', '.join(sorted(ids)[:MOST_SAID])}")


async def _states(report: Report, db: asyncpg.Connection, world: World) -> None:
    held: dict[Any, State] = {}
    for row in await db.fetch(_MISCOUNTED):
        state = held[row["id"]] = codec.state(row["state"])
        if state.count != row["n"]:
            report.findings.append(f"{row['id']} counts {state.count} touchpoints, {row['n']} are stored")
    expected = {one: world.states.get(one, State()) for one in held.keys() | world.states.keys()}
    differing = [one for one, state in expected.items() if held.get(one) != state]
    if differing:
        report.findings.append(f"{len(differing)} states differ from a serial replay: {differing[:MOST_SAID]}")
    if stripped := await db.fetchval(_STRIPPED, FOLD_VERSION, NEWS):
        report.findings.append(f"{stripped} states of a newer version lost what only that one knows")
    pointers = {
        row["id"]: codec.pointer(row["pointer"]) for row in await db.fetch("SELECT id, pointer FROM identifier")
    }
    if {
        one: p for one, p in pointers.items() if p is not None
    } != world.pointers or pointers.keys() != world.people.keys():
        report.findings.append("who belongs to whom differs from a serial replay")
    rows = await db.fetch("SELECT id, claim, order_bond FROM entity")
    claims = {row["id"]: codec.bond(row["claim"]) for row in rows if row["claim"] is not None}
    orders = {row["id"]: codec.bond(row["order_bond"]) for row in rows if row["order_bond"] is not None}
    if claims != world.claims or orders != world.orders:
        report.findings.append("who owns what differs from a serial replay")


_WATCH = """
CREATE TABLE fence_moved_back (topic text, partition int, old bigint, new bigint);
CREATE FUNCTION note_a_step_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fence_moved_back VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN new;
END $$;
CREATE TRIGGER step_back BEFORE UPDATE ON fence FOR EACH ROW
    WHEN (new.next_offset < old.next_offset) EXECUTE FUNCTION note_a_step_back();
"""


async def watch_the_fence(dsn: str) -> None:
    """Have the database note every time that a partition's position moves back: only who was overtaken does that."""
    db = await asyncpg.connect(dsn)
    try:
        await db.execute(_WATCH)
    finally:
        await db.close()


async def _positions(report: Report, db: asyncpg.Connection, bootstrap: str, topic: str) -> None:
    ends = await ends_of(bootstrap, topic)
    if await db.fetchval("SELECT to_regclass('fence_moved_back') IS NOT NULL"):
        back = await db.fetch("SELECT * FROM fence_moved_back")
        report.findings += [f"{r['topic']}/{r['partition']} moved back from {r['old']} to {r['new']}" for r in back]
    positions = await _table(db, topic)
    if any(positions.get(p, 0) != end for p, end in ends.items()):
        report.findings.append(f"the table stands at {positions}, the log ends at {ends}")
