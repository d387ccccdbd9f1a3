"""Touchpoints and operators' words in one story, and what the oracle makes of them from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from pathline.domain.touchpoint import Touchpoint
from tests.support.world import PERSON_VALUES, touchpoints
from tests.unit.domain.oracle import KINDS, Name, Oracle


class Split(NamedTuple):
    """An identifier is given a stronger parent, or none."""

    name: Name
    to: Name | None


class Merge(NamedTuple):
    """Two user_ids are united."""

    one: Name
    other: Name


class Back(NamedTuple):
    """One of the words said so far is taken back."""

    which: int


Spoken = Split | Merge | Back

_NAMES = [(kind, value) for kind, values in PERSON_VALUES.items() for value in values]


def named(said: Iterable[Spoken]) -> set[Name]:
    """Whom these words are about."""
    return {name for one in said if not isinstance(one, Back) for name in one if name is not None}


@st.composite
def splits(draw: st.DrawFn) -> Split:
    name = draw(st.sampled_from(_NAMES))
    stronger = [one for one in _NAMES if KINDS.index(one[0]) < KINDS.index(name[0])]
    return Split(name, draw(st.sampled_from([None, *stronger])))


@st.composite
def merges(draw: st.DrawFn) -> Merge:
    one, other = draw(st.permutations(PERSON_VALUES["user_id"]))[:2]
    return Merge(("user_id", one), ("user_id", other))


words = st.one_of(splits(), merges(), st.builds(Back, st.integers(min_value=0, max_value=9)))


@st.composite
def logs(draw: st.DrawFn, most: int = 15) -> list[Touchpoint]:
    """Touchpoints that say who is whom."""
    count = draw(st.integers(min_value=1, max_value=most))
    return [draw(touchpoints(number, ("identify", "identify", "page", "alias"))) for number in range(count)]


@st.composite
def stories(draw: st.DrawFn, most: int = 15, most_words: int = 6) -> tuple[list[Touchpoint], list[Spoken], list[int]]:
    """A log, words in their order, and before which touchpoint each is said."""
    log = draw(logs(most))
    said = draw(st.lists(words, max_size=most_words))
    places = sorted(draw(st.integers(min_value=0, max_value=len(log))) for _ in said)
    return log, said, places


def mixed(log: Sequence[Touchpoint], said: Sequence[Spoken], places: Sequence[int]) -> list[Touchpoint | Spoken]:
    """One after the other."""
    story: list[Touchpoint | Spoken] = []
    for place, told in enumerate(log):
        story += [word for word, at in zip(said, places, strict=True) if at == place]
        story.append(told)
    return story + [word for word, at in zip(said, places, strict=True) if at == len(log)]


class Held:
    """The words that hold. Those that were accepted are given to `say` in their order."""

    def __init__(self) -> None:
        self.links: dict[Name, Name | None] = {}
        self.unions: set[frozenset[Name]] = set()
        self._said: list[Split | Merge] = []

    def say(self, word: Split | Merge) -> None:
        self._said.append(word)
        if isinstance(word, Split):
            self.links[word.name] = word.to
            self.unions = {pair for pair in self.unions if word.name not in pair}
        else:
            self.unions.add(frozenset(word))

    def last(self, which: int) -> Split | Merge | None:
        """The word that is meant by a number, if one was said."""
        return self._said[which % len(self._said)] if self._said else None

    def take_back(self, word: Split | Merge) -> None:
        if isinstance(word, Split):
            self.links.pop(word.name, None)
        else:
            self.unions.discard(frozenset(word))


class SpokenOracle(Oracle):
    """The customers of a log with the words that hold, by looking at all of both for each question."""

    def spoken_customers(
        self, links: Mapping[Name, Name | None], unions: set[frozenset[Name]]
    ) -> dict[Name, frozenset[Name]]:
        """Each identifier that was met, and all that are one customer with it."""
        met = self.everyone()
        everybody = met | links.keys() | {to for to in links.values() if to} | {one for pair in unions for one in pair}
        boxes = Counter(
            kept for name in met if name[0] in {"email", "phone"} and (kept := self.kept_parent(name)) is not None
        )
        edges: list[tuple[Name, Name]] = [(a, b) for a, b in map(tuple, unions)]
        for name in everybody:
            kept = self.kept_parent(name)
            if name in links:
                to = links[name]
                edges += [(name, to)] if to else []
            elif kept and not (name[0] in {"email", "phone"} and boxes[kept] > self.mailbox_limit):
                edges.append((name, kept[0]))
        for t in self.log:
            if t.type == "alias" and t.trusted and t.previous_id and t.people and t.people[0].kind == "user_id":
                pair = ("user_id", t.previous_id), ("user_id", t.people[0].value)
                edges += [pair] if not any(one in links for one in pair) else []
        group = {name: name for name in everybody}
        for _ in everybody:
            for a, b in edges:
                group[a] = group[b] = min(group[a], group[b])
        return {name: frozenset(other for other in met if group[other] == group[name]) for name in met}
