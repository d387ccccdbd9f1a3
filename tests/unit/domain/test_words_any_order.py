"""Who is whom depends on the touchpoints there are and the words that hold, and not on which came when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pathline.domain.identifiers import Identifier
from pathline.domain.people import MAX_JOINED, Person, Word, representatives, root_of
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.words import Give, Impossible, Unite, merge, split, too_large
from tests.support.spoken import Back, Held, Merge, Split, Spoken, SpokenOracle, mixed, named, stories
from tests.support.world import World, touchpoint
from tests.unit.domain.oracle import Name

LIMIT = 1
"""Mailboxes of one parent: so few that tills are met."""


def identifier(name: Name) -> Identifier:
    return Identifier("default", *name)


def told_of(number: int, name: Name) -> Touchpoint:
    return touchpoint(number, type="identify", people=dict([name]), seconds=number)


class Telling:
    """The system's answer: pointers as the fold keeps them, words beside them, read by the domain's own climb."""

    def __init__(self, said: Iterable[Spoken]) -> None:
        self.world = World(mailbox_limit=LIMIT)
        # A word is about somebody who was met, perhaps by what is no longer in the log.
        names = [identifier(name) for name in named(said)]
        self.met = {one.id: Person(one) for one in names}
        self.links: dict[UUID, UUID | None] = {}
        self.unions: set[tuple[UUID, UUID]] = set()

    def say(self, word: Give | Unite) -> None:
        if isinstance(word, Give):
            self.links[word.child] = word.parent
            self.unions = {pair for pair in self.unions if word.child not in pair}
        else:
            self.unions.add((word.a, word.b))

    def take_back(self, word: Give | Unite) -> None:
        if isinstance(word, Give):
            self.links.pop(word.child, None)
        else:
            self.unions.discard((word.a, word.b))

    def customers(self) -> dict[Name, frozenset[Name]]:
        kin = self.world.kin
        people: dict[UUID, Person] = {
            one: msgspec.structs.replace(person, word=Word(self.links[one], 1)) if one in self.links else person
            for one, person in (self.met | kin.people).items()
        }
        tills = {key for person in people.values() if (key := person.till_key) is not None and kin._is_till(key)}
        holding = {pair for pair in kin.joins if not self.links.keys() & set(pair)} | self.unions
        same = representatives(holding)
        roots = {one: root_of(one, people, tills, same) for one in people}
        names = {one: (person.identifier.kind, person.identifier.value) for one, person in people.items()}
        return {
            names[one]: frozenset(names[other] for other in people if roots[other] == root)
            for one, root in roots.items()
        }


def word_of(one: Split | Merge) -> Give | Unite:
    word: Give | Unite | Impossible
    if isinstance(one, Split):
        word = split(identifier(one.name), None if one.to is None else identifier(one.to))
    else:
        word = merge(identifier(one.one), identifier(one.other))
    assert not isinstance(word, Impossible)
    return word


def of(everyone: set[Name], customers: Mapping[Name, frozenset[Name]]) -> dict[Name, frozenset[Name]]:
    """The customers as far as these are concerned."""
    return {name: members & everyone for name, members in customers.items() if name in everyone}


ANN, BOX, OTHER_BOX = ("user_id", "ann"), ("email", "a@b"), ("email", "c@d")
BROWSER, NUMBER, DEVICE = ("anonymous_id", "browser-1"), ("phone", "+12025550101"), ("device_id", "phone-1")


@example(  # A browser is given to a number that nobody in the log was met under, and which has a parent of its own.
    ([told_of(0, ANN), told_of(1, BROWSER)], [Split(NUMBER, ANN), Split(BROWSER, NUMBER)], [0, 0]), 0
)
@example(([told_of(0, ANN), told_of(1, DEVICE)], [Split(BROWSER, ANN), Split(DEVICE, BROWSER)], [0, 0]), 0)
@given(stories(), st.integers(min_value=0))
def test_touchpoints_and_words_in_any_order_give_the_customers_of_the_oracle(
    story: tuple[list[Touchpoint], list[Split | Merge | Back], list[int]], seed: int
) -> None:
    log, said, places = story
    shuffled = log + log[: len(log) // 2]
    random.Random(seed).shuffle(shuffled)
    oracle = SpokenOracle(log, LIMIT)
    everyone = oracle.everyone()
    for told, at in ((log, places), (shuffled, [place * len(shuffled) // len(log) for place in places])):
        telling, held = Telling(said), Held()
        for one in mixed(told, said, at):
            if isinstance(one, Touchpoint):
                telling.world.add([one])
            elif not isinstance(one, Back):
                telling.say(word_of(one))
                held.say(one)
            elif (word := held.last(one.which)) is not None:
                telling.take_back(word_of(word))
                held.take_back(word)
        assert of(everyone, telling.customers()) == oracle.spoken_customers(held.links, held.unions)
        holding: list[Split | Merge] = [Split(name, to) for name, to in held.links.items()]
        holding += [Merge(*pair) for pair in held.unions]
        for each in holding:
            telling.take_back(word_of(each))
        # With every word taken back, all is as if none had been said.
        assert of(everyone, telling.customers()) == oracle.customers()


@pytest.mark.parametrize(
    ("name", "to", "code"),
    [(BOX, OTHER_BOX, "parent_not_stronger"), (ANN, ANN, "parent_not_stronger"), (BOX, ("device_id", "d"), "parent_not_stronger")],
)  # fmt: skip
def test_an_identifier_is_given_to_a_stronger_kind_only(name: Name, to: Name, code: str) -> None:
    word = split(identifier(name), identifier(to))
    assert isinstance(word, Impossible) and word.code == code


def test_the_weaker_belongs_to_the_stronger_and_user_ids_are_united() -> None:
    ann, bob, box = identifier(ANN), identifier(("user_id", "bob")), identifier(BOX)
    assert merge(ann, box) == merge(box, ann) == Give(box.id, ann.id)
    assert merge(ann, bob) == merge(bob, ann) == Unite(min(ann.id, bob.id), max(ann.id, bob.id))
    same = merge(box, identifier(OTHER_BOX))
    assert isinstance(same, Impossible) and same.code == "merge_needs_stronger"
    elsewhere = merge(ann, Identifier("outlet", *ANN))
    assert isinstance(elsewhere, Impossible) and elsewhere.code == "other_namespace"


def test_a_hundred_user_ids_are_one_and_no_more() -> None:
    assert too_large(MAX_JOINED) is None
    refused = too_large(MAX_JOINED + 1)
    assert refused is not None and refused.code == "join_too_large"
