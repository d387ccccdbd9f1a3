"""A shop whose people operators have a word on, in real PostgreSQL."""

from __future__ import annotations

from itertools import count
from typing import Any

import asyncpg

from pathline.domain.fold import join_of
from pathline.domain.identifiers import Identifier
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.words import Said
from pathline.storage import people, stitching, words
from pathline.storage.words import Act, Done, Outcome
from tests.support.stitching import stitch
from tests.support.world import touchpoint

SAID = Said("Uma", "api", "the customer called")
_numbers = count()


class Shop:
    """People of a namespace of their own."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self.pool = pool
        self.namespace = f"shop-{next(_numbers)}"

    def name(self, told: str) -> Identifier:
        kind, _, value = told.partition(":")
        return Identifier(self.namespace, kind, value)

    def tell(self, number: int, *names: str, **more: Any) -> Touchpoint:
        """Who was met together."""
        given = dict(name.split(":", 1) for name in names)
        return touchpoint(
            number, type=more.pop("type", "identify"), people=given, seconds=more.pop("seconds", number),
            namespace=self.namespace, source=self.namespace, **more,
        )  # fmt: skip

    def alias(self, number: int, user: str, before: str) -> Touchpoint:
        return self.tell(number, f"user_id:{user}", type="alias", previous_id=before)

    async def stitch(self, *told: Touchpoint) -> None:
        await stitch(self.pool, told)
        for one in told:
            await self.join(one)

    async def join(self, told: Touchpoint) -> None:
        pair = join_of(told)
        if pair is not None:
            async with self.pool.acquire() as db, db.transaction():
                await stitching.lock_joins(db)
                await stitching.write_joins(db, [pair])

    async def split(self, name: str, to: str | None = None) -> Outcome:
        async with self.pool.acquire() as db, db.transaction():
            return await words.split(db, self.name(name).id, None if to is None else self.name(to).id, SAID)

    async def merge(self, one: str, other: str) -> Outcome:
        async with self.pool.acquire() as db, db.transaction():
            return await words.merge(db, self.name(one).id, self.name(other).id, SAID)

    async def take_back(self, act: Act | int) -> Outcome:
        async with self.pool.acquire() as db, db.transaction():
            return await words.take_back(db, act if isinstance(act, int) else act.id, SAID)

    async def groups(self) -> set[frozenset[str]]:
        """Who is one customer, by the way up, held against the way down."""
        async with self.pool.acquire() as db:
            rows = await db.fetch("SELECT id, kind, value FROM identifier WHERE namespace = $1", self.namespace)
            names = {row["id"]: f"{row['kind']}:{row['value']}" for row in rows}
            # One by one: asked for together, each would find what the others have read.
            roots = {one: (await people.roots_of(db, [one]))[one] for one in names}
            assert await people.roots_of(db, names) == roots
            found: dict[Any, set[str]] = {}
            for one, root in roots.items():
                found.setdefault(root, set()).add(names[one])
            for root, members in found.items():
                assert {names[one] for one in (await people.family(db, root)).people} == members
        return {frozenset(members) for members in found.values()}


def act_of(outcome: Outcome) -> Act:
    assert isinstance(outcome, Done) and outcome.act is not None, outcome
    return outcome.act
