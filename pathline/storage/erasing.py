"""Erasing a customer: every row that is theirs, or names them by an id, in all tables.

Ids are hashes of names, so whoever knows a mailbox can make its id: they go, too. What stays is `seen`, hashes of
message ids alone, by which nothing that was erased comes back from the log.

A stitcher remembers who it met, and would not write them again. So the fences are raised, as by a peer that takes the
partitions: whoever works on a batch rolls it back, forgets what it knew, and reads it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from pathline.domain.bonds import Pointer
from pathline.domain.identifiers import Identifier
from pathline.domain.people import Person
from pathline.storage import codec, entities, people
from pathline.storage.stitching import lock_joins

if TYPE_CHECKING:
    from pathline.storage.connection import Db

MAX_ROUNDS: Final = 1_000
"""Times that a customer is read to be erased: 200 names or 1,000 things each."""

PAGE: Final = 10_000
"""Identifiers that are looked through at a time."""
LETTERS: Final = 100
"""Dead letters that are read at a time; one may have a megabyte."""

HOLD_TIMEOUT: Final = "30s"
"""How long batches under way are waited for."""

_ALERTS: Final = "SELECT id FROM alert WHERE entity_id = ANY($1::uuid[]) OR story_id = ANY($1::uuid[]) ORDER BY id"

_OF_ALERTS: Final = (
    ("alert", "DELETE FROM alert WHERE id = ANY($1::uuid[])"),
    ("alert_event", "DELETE FROM alert_event WHERE alert_id = ANY($1::uuid[])"),
    ("alert_cause", "DELETE FROM alert_cause WHERE alert_id = ANY($1::uuid[])"),
    ("outbox", "DELETE FROM outbox WHERE alert_id = ANY($1::uuid[])"),
)

_OF_SUBJECTS: Final = (
    ("strand", "DELETE FROM strand WHERE id = ANY($1::uuid[])"),
    ("entity", "DELETE FROM entity WHERE id = ANY($1::uuid[])"),
    ("touchpoint", "DELETE FROM touchpoint WHERE subject = ANY($1::uuid[])"),
    ("rebuild_note", "DELETE FROM rebuild_note WHERE id = ANY($1::uuid[])"),
    ("earlier_fact", "DELETE FROM earlier_fact WHERE id = ANY($1::uuid[])"),
    ("customer_risk", "DELETE FROM customer_risk WHERE id = ANY($1::uuid[])"),
    ("risk_look", "DELETE FROM risk_look WHERE entity_id = ANY($1::uuid[])"),
)
"""What a person or a thing has, by its id."""

_OF_PEOPLE: Final = (
    ("account_member", "DELETE FROM account_member WHERE identifier_id = ANY($1::uuid[])"),
    ("user_join", "DELETE FROM user_join WHERE a = ANY($1::uuid[]) OR b = ANY($1::uuid[])"),
    ("operator_link", "DELETE FROM operator_link WHERE child_id = ANY($1::uuid[]) OR parent_id = ANY($1::uuid[])"),
    ("operator_join", "DELETE FROM operator_join WHERE a = ANY($1::uuid[]) OR b = ANY($1::uuid[])"),
    (
        "operator_act",
        "DELETE FROM operator_act WHERE moved && $1::uuid[] AND ARRAY[subject_id, other_id] && $1::uuid[]",
    ),
)

# An act about somebody else, whose customer they were or became: it stays, without them.
_ACTS_OF_OTHERS: Final = """
UPDATE operator_act SET
    moved = ARRAY(SELECT one FROM unnest(moved) AS t (one) WHERE one <> ALL($1::uuid[])),
    left_id = CASE WHEN left_id = ANY($1::uuid[]) THEN subject_id ELSE left_id END,
    joined_id = CASE WHEN joined_id = ANY($1::uuid[]) THEN subject_id ELSE joined_id END,
    inferred = CASE WHEN EXISTS (
        SELECT 1 FROM unnest($1::uuid[]) AS g (id) WHERE strpos(inferred::text, g.id::text) > 0
    ) THEN NULL ELSE inferred END
WHERE moved && $1::uuid[]
"""

_POINTERS: Final = """
SELECT id, parent FROM (
    SELECT id, CASE WHEN pointer::text LIKE ANY($2::text[]) THEN pointer END AS parent,
        row_number() OVER (ORDER BY id DESC) AS place
    FROM (SELECT id, pointer FROM identifier WHERE id > $1 ORDER BY id LIMIT $3) AS page
) AS looked
WHERE parent IS NOT NULL OR place = 1 ORDER BY id
"""


class Erased(msgspec.Struct):
    """What was erased."""

    rows: dict[str, int] = {}
    """Rows by table."""
    names: dict[UUID, Identifier] = {}
    """The names and things that are gone, and those that are `kept`."""
    kept: dict[UUID, Identifier] = {}
    """Names that are somebody else's now, whom touchpoints name with them next: without what was done under them."""

    def count(self, table: str, status: str) -> None:
        """Note what a statement did, by its status."""
        rows = int(status.rsplit(" ", 1)[1])
        if rows:
            self.rows[table] = self.rows.get(table, 0) + rows


class Letter(msgspec.Struct, frozen=True):
    """A dead letter, as far as it may tell of somebody."""

    id: int
    namespace: str | None
    around: bytes
    """Its key and headers."""
    body: bytes


class TooLargeError(Exception):
    """The customer has more names and things than can be erased at a time."""


async def hold(db: Db) -> None:
    """Stop stitchers and scorers for the rest of the transaction; they begin anew after it, with nothing in mind."""
    await db.execute(f"SET LOCAL lock_timeout = '{HOLD_TIMEOUT}'")
    await db.execute("SELECT 1 FROM fence ORDER BY topic, partition FOR UPDATE")
    await db.execute("UPDATE fence SET epoch = epoch + 1")
    await lock_joins(db)


async def erase(db: Db, root: UUID) -> Erased:
    """Erase everything under a root. Run it after `hold`, in the same transaction.

    Raises:
        TooLargeError: there is more than MAX_ROUNDS reads have.
    """
    erased = Erased()
    for _ in range(MAX_ROUNDS):
        family = await people.family(db, root)
        things = await entities.owned_by(db, family.people)
        erased.names |= {thing.id: thing.identifier for thing in things}
        await _forget(db, [thing.id for thing in things], erased)
        if len(things) >= entities.MAX_OWNED:
            continue
        tops = set((await people.joined(db, [root])).keys()) | {root} if family.truncated else set()
        leaving = {one: person for one, person in family.people.items() if one not in tops}
        erased.names |= {one: person.identifier for one, person in family.people.items()}
        await _forget(db, list(leaving), erased)
        await _forget_people(db, leaving, erased)
        if not family.truncated:
            return erased
    raise TooLargeError


async def _forget(db: Db, subjects: Sequence[UUID], erased: Erased) -> None:
    """What persons or things have, whatever it is."""
    if not subjects:
        return
    erased.count("watch", await db.execute("DELETE FROM watch WHERE id = ANY($1::uuid[])", subjects))
    alerts = [row["id"] for row in await db.fetch(_ALERTS, subjects)]
    for table, statement in _OF_ALERTS if alerts else ():
        erased.count(table, await db.execute(statement, alerts))
    for table, statement in _OF_SUBJECTS:
        erased.count(table, await db.execute(statement, subjects))
    await db.execute(
        "UPDATE entity SET claimant_id = NULL, claim = NULL, revision = revision + 1"
        " WHERE claimant_id = ANY($1::uuid[])",
        subjects,
    )
    await db.execute(
        "UPDATE entity SET order_id = NULL, order_bond = NULL, revision = revision + 1"
        " WHERE order_id = ANY($1::uuid[])",
        subjects,
    )


async def _forget_people(db: Db, leaving: dict[UUID, Person], erased: Erased) -> None:
    """The names themselves, and what was said of whose they are."""
    ids = list(leaving)
    for table, statement in _OF_PEOPLE:
        erased.count(table, await db.execute(statement, ids))
    await db.execute(_ACTS_OF_OTHERS, ids)
    left = {one: without(person.pointer, erased.names.keys()) for one, person in leaving.items()}
    for one, pointer in left.items():
        if pointer is not None:
            erased.kept[one] = leaving[one].identifier
            await _point(db, one, pointer)
    gone = [one for one, pointer in left.items() if pointer is None]
    erased.count("identifier", await db.execute("DELETE FROM identifier WHERE id = ANY($1::uuid[])", gone))


def without(pointer: Pointer | None, gone: Collection[UUID]) -> Pointer | None:
    """What is proposed of a name when these are no more: the next best steps up."""
    if pointer is None:
        return None
    left = [bond for bond in (pointer.best, pointer.runner_up) if bond is not None and bond.target not in gone]
    return Pointer(*left) if left else None


async def _point(db: Db, one: UUID, pointer: Pointer) -> None:
    await db.execute(
        "UPDATE identifier SET parent_id = $2, parent_trusted = $3, parent_at = $4, pointer = $5::json WHERE id = $1",
        one, pointer.best.target, pointer.best.rank[1] == 0, pointer.best.at, codec.to_json(pointer),
    )  # fmt: skip


async def next_best(db: Db, after: UUID, gone: Iterable[UUID]) -> UUID | None:
    """Take these out of the next best of the following PAGE identifiers; the last one looked at, None at the end.

    No index has who is only the next best: it is looked for in all identifiers, a page at a time, by the key.
    """
    ids = set(gone)
    rows = await db.fetch(_POINTERS, after, [f"%{one}%" for one in ids], PAGE)
    for row in rows:
        pointer = codec.pointer(row["parent"])
        if pointer is not None and pointer.best.target not in ids:
            left = without(pointer, ids)
            assert left is not None
            # As it was read: who has told something better meanwhile has no such next best any more, or a new page has.
            await db.execute(
                "UPDATE identifier SET pointer = $2::json WHERE id = $1 AND pointer::text = $3",
                row["id"], codec.to_json(left), row["parent"],
            )  # fmt: skip
    return rows[-1]["id"] if rows else None


async def letters(db: Db, after: int) -> list[Letter]:
    """The following LETTERS dead letters."""
    rows = await db.fetch(
        "SELECT id, namespace, key, value, headers::text AS headers FROM dead_letter WHERE id > $1"
        " ORDER BY id LIMIT $2",
        after,
        LETTERS,
    )
    return [
        Letter(row["id"], row["namespace"], (row["key"] or b"") + row["headers"].encode(), row["value"] or b"")
        for row in rows
    ]


async def drop_letters(db: Db, ids: Sequence[int]) -> int:
    """Delete these dead letters."""
    status: str = await db.execute("DELETE FROM dead_letter WHERE id = ANY($1::bigint[])", list(ids))
    return int(status.rsplit(" ", 1)[1])


async def hints(db: Db) -> list[tuple[str, int, bytes]]:
    """The hints of the last batch of each partition, which the fences keep: topic, partition, hints."""
    rows: list[Any] = await db.fetch("SELECT topic, partition, hints FROM fence WHERE hints IS NOT NULL")
    return [(row["topic"], row["partition"], row["hints"]) for row in rows]


async def keep_hints(db: Db, topic: str, partition: int, left: bytes | None) -> None:
    """Replace the hints of one partition."""
    await db.execute("UPDATE fence SET hints = $3 WHERE topic = $1 AND partition = $2", topic, partition, left)
