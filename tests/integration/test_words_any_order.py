"""The statements that read people with operators' words among them, against the oracle, on random stories."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings

from pathline.domain.identifiers import Identifier, touchpoint_id
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.words import Said
from pathline.kit.database import create_pool
from pathline.storage import stitching
from pathline.storage.words import Done, Outcome
from tests.support.operators import Shop
from tests.support.spoken import Back, Held, Merge, Split, SpokenOracle, mixed, named, stories
from tests.unit.domain.oracle import Name

pytestmark = pytest.mark.integration

SAID = Said("Uma", "api", "so it is")
_numbers = count()


def moved_to(namespace: str, told: Touchpoint) -> Touchpoint:
    """The same, told by another shop."""
    return msgspec.structs.replace(
        told,
        namespace=namespace,
        source=namespace,
        id=touchpoint_id(namespace, told.message_id),
        people=tuple(Identifier(namespace, name.kind, name.value) for name in told.people),
    )


async def tell(dsn: str, log: list[Touchpoint], said: list[Split | Merge | Back], places: list[int]) -> None:
    pool = await create_pool(dsn, max_size=2, application_name="test")
    shop = Shop(pool)
    shop.namespace = f"story-{next(_numbers)}"
    told = [moved_to(shop.namespace, one) for one in log]
    oracle, held, acts = SpokenOracle(told), Held(), dict[Split | Merge, int]()
    try:
        # A word is about somebody who was met, so all of them are met at the beginning.
        met = {Identifier(shop.namespace, *name) for name in named(said) | oracle.everyone()}
        async with pool.acquire() as db, db.transaction():
            await stitching.write_people(db, met, {}, {})
        for one in mixed(told, said, places):
            if isinstance(one, Touchpoint):
                await shop.stitch(one)
            elif not isinstance(one, Back):
                outcome = await say(shop, one)
                if isinstance(outcome, Done) and outcome.act is not None:
                    held.say(one)
                    acts[one] = outcome.act.id
            elif (word := held.last(one.which)) is not None:
                outcome = await shop.take_back(acts[word])
                if isinstance(outcome, Done) and outcome.act is not None:
                    held.take_back(word)
        everyone = oracle.everyone()
        assert {
            name: members & everyone for name, members in (await customers(shop)).items() if name in everyone
        } == oracle.spoken_customers(held.links, held.unions)
    finally:
        await pool.close()


async def say(shop: Shop, word: Split | Merge) -> Outcome:
    def name(one: Name) -> str:
        return ":".join(one)

    if isinstance(word, Split):
        return await shop.split(name(word.name), None if word.to is None else name(word.to))
    return await shop.merge(name(word.one), name(word.other))


async def customers(shop: Shop) -> dict[Name, frozenset[Name]]:
    def name(text: str) -> Name:
        kind, _, value = text.partition(":")
        return kind, value

    groups = [frozenset(map(name, group)) for group in await shop.groups()]
    return {one: group for group in groups for one in group}


@settings(max_examples=60, deadline=None)
@given(stories())
def test_the_statements_give_the_customers_of_the_oracle(
    database: str, story: tuple[list[Touchpoint], list[Split | Merge | Back], list[int]]
) -> None:
    asyncio.run(tell(database, *story))
