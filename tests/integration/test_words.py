"""An operator's word in real PostgreSQL, whatever touchpoints say before, meanwhile and after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pathline.domain.fold import join_of
from pathline.domain.identifiers import name_id
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.words import Impossible
from pathline.storage import customers, people, words
from pathline.storage.words import Act, Done, Outcome
from tests.support.operators import SAID, Shop, act_of

pytestmark = pytest.mark.integration


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group.split()) for group in groups}


def code_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Impossible), outcome
    return outcome.code


async def test_an_identifier_that_is_split_off_takes_with_it_what_hangs_on_it_and_comes_back(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(
        shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "email:a@b", "anonymous_id:v"),
        shop.tell(3, "user_id:ann", "device_id:d"),
    )  # fmt: skip
    before = await shop.groups()
    act = act_of(await shop.split("email:a@b"))
    assert await shop.groups() == sets("user_id:ann device_id:d", "email:a@b anonymous_id:v")
    ann, mailbox = shop.name("user_id:ann").id, shop.name("email:a@b").id
    assert (act.left, act.joined, act.in_force) == (ann, mailbox, True)
    assert {ann, mailbox} <= set(act.moved)
    assert act.inferred is not None and act.inferred.best.target == ann and act.inferred.best.message_id == "m1"
    act_of(await shop.take_back(act))
    assert await shop.groups() == before


async def test_an_identifier_is_given_to_a_stronger_one(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(
        shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "user_id:bob"), shop.tell(3, "email:a@b", "device_id:d")
    )
    act_of(await shop.split("email:a@b", "user_id:bob"))
    assert await shop.groups() == sets("user_id:ann", "user_id:bob email:a@b device_id:d")
    # A server's touchpoint that came earlier than all others beats every inferred link, and not this one.
    await shop.stitch(shop.tell(9, "user_id:cem", "email:a@b", seconds=-99))
    assert await shop.groups() == sets("user_id:ann", "user_id:bob email:a@b device_id:d", "user_id:cem")


async def test_take_back_restores_what_is_inferred_by_then(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"))
    act = act_of(await shop.split("email:a@b"))
    await shop.stitch(shop.tell(2, "user_id:bob", "email:a@b", seconds=-9))
    assert await shop.groups() == sets("user_id:ann", "user_id:bob", "email:a@b")
    back = act_of(await shop.take_back(act))
    assert await shop.groups() == sets("user_id:ann", "user_id:bob email:a@b")
    assert (back.kind, back.takes_back, back.in_force) == ("take_back", act.id, False)
    assert (back.left, back.joined) == (shop.name("email:a@b").id, shop.name("user_id:bob").id)


async def test_two_user_ids_are_united_and_answer_for_each_other(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "user_id:bob", "email:b@b"))
    act = act_of(await shop.merge("email:a@b", "user_id:bob"))
    assert await shop.groups() == sets("user_id:ann email:a@b user_id:bob email:b@b")
    ann, bob = shop.name("user_id:ann").id, shop.name("user_id:bob").id
    assert {act.left, act.joined} == {ann, bob} and act.joined == min(ann, bob)
    async with shop.pool.acquire() as db:
        for former in ("user_id:ann", "user_id:bob", "email:a@b", "email:b@b"):
            assert await customers.resolve(db, shop.name(former).id) == act.joined
    act_of(await shop.take_back(act))
    assert await shop.groups() == sets("user_id:ann email:a@b", "user_id:bob email:b@b")


async def test_a_weaker_customer_is_merged_into_a_stronger_one(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann"), shop.tell(2, "email:guest@b", "anonymous_id:v"))
    act = act_of(await shop.merge("user_id:ann", "anonymous_id:v"))
    assert (act.subject, act.joined) == (shop.name("email:guest@b").id, shop.name("user_id:ann").id)
    assert await shop.groups() == sets("user_id:ann email:guest@b anonymous_id:v")


async def test_a_user_id_that_is_cut_off_stays_so_whatever_aliases_come(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.alias(1, "ann", "bob"), shop.alias(2, "bob", "cem"))
    # As an alias is read, previousId may be an anonymous id, too.
    whole = await shop.groups()
    act = act_of(await shop.split("user_id:bob"))
    apart = await shop.groups()
    assert next(g for g in apart if "user_id:ann" in g).isdisjoint({"user_id:bob", "user_id:cem"})
    # Bob was what held the other two together: each of the three is told of.
    assert {shop.name(f"user_id:{who}").id for who in ("ann", "bob", "cem")} <= set(act.moved)
    await shop.stitch(shop.alias(3, "dan", "bob"))
    assert not any({"user_id:dan", "user_id:bob"} <= group for group in await shop.groups())
    act_of(await shop.merge("user_id:bob", "user_id:dan"))
    assert any({"user_id:dan", "user_id:bob"} <= group for group in await shop.groups())
    act_of(await shop.take_back(act))
    united = next(group for group in await shop.groups() if "user_id:ann" in group)
    assert {"user_id:ann", "user_id:bob", "user_id:cem", "user_id:dan"} <= united
    assert next(group for group in whole if "user_id:ann" in group) <= united


async def test_a_split_ends_the_unions_of_a_user_id(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann"), shop.tell(2, "user_id:bob"))
    union = act_of(await shop.merge("user_id:ann", "user_id:bob"))
    act_of(await shop.split("user_id:bob"))
    assert await shop.groups() == sets("user_id:ann", "user_id:bob")
    assert code_of(await shop.take_back(union)) == "not_in_force"


async def test_a_word_said_again_changes_nothing(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(
        shop.tell(1, "user_id:ann", "email:a@b", "device_id:d"), shop.tell(2, "user_id:bob"), shop.alias(3, "x", "y")
    )
    split = act_of(await shop.split("email:a@b"))
    merge = act_of(await shop.merge("user_id:ann", "user_id:bob"))
    cut = act_of(await shop.split("user_id:x"))
    for again in (shop.split("email:a@b"), shop.merge("user_id:bob", "user_id:ann"), shop.split("user_id:x")):
        assert await again == Done(None)
    for act in (split, merge, cut):
        act_of(await shop.take_back(act))
        assert await shop.take_back(act) == Done(None)


async def test_what_cannot_be_said_has_its_code(pool: Any) -> None:
    shop, other = Shop(pool), Shop(pool)
    await shop.stitch(
        shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "email:b@b"), shop.tell(3, "email:c@b"),
        shop.tell(4, "user_id:ann", "phone:+12025550101"),
    )  # fmt: skip
    await other.stitch(other.tell(1, "user_id:ann", "email:a@b"))
    assert code_of(await shop.split("user_id:ann")) == "nothing_to_split"
    assert code_of(await shop.split("email:b@b")) == "nothing_to_split"
    assert code_of(await shop.split("email:nobody@b")) == "identifier_not_found"
    assert code_of(await shop.split("email:a@b", "user_id:nobody")) == "identifier_not_found"
    assert code_of(await shop.split("email:a@b", "phone:+12025550101")) == "parent_not_stronger"
    assert code_of(await shop.split("email:a@b", "email:b@b")) == "parent_not_stronger"
    assert code_of(await shop.merge("email:b@b", "email:c@b")) == "merge_needs_stronger"
    assert code_of(await shop.merge("email:b@b", "email:nobody@b")) == "identifier_not_found"
    assert code_of(await shop.take_back(1_000_000)) == "act_not_found"
    async with pool.acquire() as db, db.transaction():
        theirs = other.name("user_id:ann").id
        assert code_of(await words.merge(db, shop.name("user_id:ann").id, theirs, SAID)) == "other_namespace"
        assert code_of(await words.split(db, shop.name("email:a@b").id, theirs, SAID)) == "other_namespace"
    assert await pool.fetchval("SELECT count(*) FROM operator_act WHERE $1 = ANY(moved)", theirs) == 0


async def _chain(shop: Shop, first: int, size: int) -> None:
    for number in range(first + 1, first + size):
        await shop.stitch(shop.alias(number, f"u{number}", f"u{number - 1}"))


async def test_a_union_of_more_than_a_hundred_is_refused_also_when_a_cut_is_taken_back(pool: Any) -> None:
    shop = Shop(pool)
    await _chain(shop, 0, 60)
    await _chain(shop, 100, 40)
    await shop.stitch(shop.tell(500, "user_id:one-more"))
    act_of(await shop.merge("user_id:u0", "user_id:u100"))
    assert code_of(await shop.merge("user_id:one-more", "user_id:u100")) == "join_too_large"
    cut = act_of(await shop.split("user_id:u30"))
    act_of(await shop.merge("user_id:one-more", "user_id:u100"))
    assert code_of(await shop.take_back(cut)) == "join_too_large"
    async with pool.acquire() as db:
        assert len(await people.joined(db, [shop.name("user_id:u100").id])) == 71


class Saying(NamedTuple):
    """What two operators do at once, and what must come of it."""

    one: Callable[[Shop], Any]
    other: Callable[[Shop], Any]


@pytest.mark.parametrize(
    "both",
    [
        Saying(lambda s: s.merge("user_id:ann", "user_id:bob"), lambda s: s.merge("user_id:bob", "user_id:ann")),
        Saying(lambda s: s.split("email:a@b"), lambda s: s.split("email:a@b")),
    ],
)
async def test_two_operators_who_say_the_same_at_once_say_it_once(pool: Any, both: Saying) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "user_id:bob"))
    outcomes = await asyncio.gather(*(said(shop) for said in both for _ in range(4)))
    assert [one.act is not None for one in outcomes].count(True) == 1


async def test_two_operators_at_once_cannot_pass_the_limit_together(pool: Any) -> None:
    shop = Shop(pool)
    await _chain(shop, 0, 99)
    await shop.stitch(shop.tell(500, "user_id:x"), shop.tell(501, "user_id:y"))
    outcomes = await asyncio.gather(shop.merge("user_id:x", "user_id:u3"), shop.merge("user_id:y", "user_id:u7"))
    assert sorted(type(one).__name__ for one in outcomes) == ["Done", "Impossible"]


async def test_a_stitcher_that_works_on_the_same_people_neither_loses_nor_undoes_a_word(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(0, "user_id:ann", "email:a@b", "device_id:d"), shop.tell(1, "user_id:bob"))
    # Ever earlier touchpoints, so that each moves the pointers once more while an operator speaks.
    late = [
        shop.tell(n, f"user_id:{('ann', 'bob', 'cem')[n % 3]}", "email:a@b", "device_id:d", seconds=-n)
        for n in range(2, 62)
    ]
    said: list[Act] = []

    async def stitches() -> None:
        for one in late:
            await shop.stitch(one)

    async def speaks() -> None:
        for _ in range(10):
            said.append(act_of(await shop.split("email:a@b")))
            act_of(await shop.take_back(said[-1]))
        said.append(act_of(await shop.split("email:a@b")))
        said.append(act_of(await shop.split("device_id:d", "user_id:bob")))

    await asyncio.gather(stitches(), speaks())
    assert await shop.groups() == sets("user_id:ann", "user_id:bob device_id:d", "user_id:cem", "email:a@b")
    for act in said[-2:]:
        act_of(await shop.take_back(act))
    inferred = Shop(pool)
    inferred.namespace = shop.namespace
    # The touchpoint at -61 s is the earliest: of its user_id is everything.
    assert await inferred.groups() == sets(f"user_id:{('ann', 'bob', 'cem')[61 % 3]} email:a@b device_id:d", *(
        f"user_id:{who}" for who in ("ann", "bob", "cem") if who != ("ann", "bob", "cem")[61 % 3]
    ))  # fmt: skip


async def test_a_till_is_none_the_less_one_and_may_be_given_a_mailbox(pool: Any) -> None:
    shop = Shop(pool)
    boxes = [f"email:{n}@b" for n in range(52)]
    await shop.stitch(*(shop.tell(n, "user_id:till", box) for n, box in enumerate(boxes)))
    assert frozenset({"user_id:till"}) in await shop.groups()
    act_of(await shop.merge("user_id:till", boxes[7]))
    assert frozenset({"user_id:till", boxes[7]}) in await shop.groups()


async def test_the_history_says_who_was_whom_by_whom_and_why(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"), shop.tell(2, "user_id:bob"))
    first = act_of(await shop.split("email:a@b"))
    second = act_of(await shop.split("email:a@b", "user_id:bob"))
    async with pool.acquire() as db:
        for who in ("user_id:ann", "email:a@b", "user_id:bob"):
            told = await words.history(db, [shop.name(who).id], before=None, limit=10)
            expected = [second.id] if who == "user_id:bob" else [first.id]
            assert set(expected) <= {act.id for act in told}
        mine = await words.history(db, [shop.name("email:a@b").id], before=None, limit=10)
        assert [(act.id, act.in_force, act.actor, act.reason) for act in mine] == [
            (second.id, True, "Uma", "the customer called"), (first.id, False, "Uma", "the customer called"),
        ]  # fmt: skip
        assert [act.id for act in await words.history(db, [mine[0].subject], before=second.id, limit=1)] == [first.id]
    assert name_id(shop.namespace, "email", "a@b") == mine[0].subject


async def test_an_act_is_untold_until_it_is_told(pool: Any) -> None:
    shop = Shop(pool)
    await shop.stitch(shop.tell(1, "user_id:ann", "email:a@b"))
    act = act_of(await shop.split("email:a@b"))
    async with pool.acquire() as db:
        assert act.id in {one.id for one in await words.untold(db, 1_000)}
        await words.told(db, [act.id])
        assert act.id not in {one.id for one in await words.untold(db, 1_000)}


async def test_of_several_aliases_of_a_pair_the_latest_says_why_in_whatever_order_they_come(pool: Any) -> None:
    for numbers in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        shop = Shop(pool)
        for number in numbers:
            await shop.stitch(shop.alias(number, "ann", "bob"))
        async with pool.acquire() as db:
            (alias,) = await words.aliases(db, [shop.name("user_id:ann").id])
        assert alias.bond == shop_bond(shop.alias(3, "ann", "bob"))


def shop_bond(told: Touchpoint) -> Any:
    pair = join_of(told)
    assert pair is not None
    return pair.bond
