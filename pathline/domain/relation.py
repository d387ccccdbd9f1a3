"""What kind of customer somebody is, read off what they bought and what was told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from pathline.domain.facts import Fact, State
from pathline.domain.story import OrderStory

TRIAL_FACTOR: Final = 2
"""A purchase is large beside a first one when it costs at least this many times as much."""

SWITCHING: Final = "switching"
"""The segment of those who come from a competitor, and the word for it."""

TYPES: Final = ("business", "consumer")


class Trial(NamedTuple):
    """A small first purchase and the first large one after it, by their order ids."""

    first: str
    then: str


_PROFILE: Final = ("segments", "customer_type", "switched_from")


def profile_changes(before: State | None, delta: State) -> bool:
    """Whether what is joined to the state of a strand makes the person another one to detectors.

    Many senders repeat all traits with every call; only what is new is a change.
    """
    for name in _PROFILE:
        told = delta.facts.get(name)
        if told is not None:
            held = None if before is None else before.facts.get(name)
            if held is None or (told.value != held.value and (told.at, told.message_id) > (held.at, held.message_id)):
                return True
    return bool(delta.marks.get("accounts")) and not (before is not None and before.marks.get("accounts"))


def purchases(stories: Iterable[OrderStory]) -> list[OrderStory]:
    """The orders that were placed and not wholly cancelled, in the order of time."""
    placed = [story for story in stories if "placed" in story.order.state.facts and story.cancelled is None]
    return sorted(placed, key=lambda story: (_placed(story), story.order.identifier.value))


def last_told(states: Iterable[State], name: str) -> Fact | None:
    """The fact of this name that was told last."""
    told = [fact for state in states if (fact := state.facts.get(name)) is not None]
    return max(told, key=lambda fact: (fact.at, fact.message_id), default=None)


def relation(bought: Sequence[OrderStory], *, switching: bool) -> str:
    """`visitor` who bought nothing, `new` with one purchase, `returning` with more; `switching` until they return."""
    if len(bought) > 1:
        return "returning"
    if switching:
        return SWITCHING
    return "new" if bought else "visitor"


def customer_type(told: object, *, accounts: bool, identified: bool) -> str | None:
    """`business` or `consumer`: as it was told, else by belonging to an account; None for somebody unknown."""
    word = told.lower() if isinstance(told, str) else None
    if word in TYPES:
        return word
    if accounts:
        return "business"
    return "consumer" if identified else None


def preferred(bought: Iterable[OrderStory], name: str) -> str | None:
    """The most usual `delivery_method` or `payment_method`; of two that are as usual the one chosen last."""
    told = [(value, place) for place, story in enumerate(bought) if (value := story.order.state.value(name))]
    counts = Counter(str(value) for value, _ in told)
    last = {str(value): place for value, place in told}
    return max(counts, key=lambda value: (counts[value], last[value]), default=None)


def trial(bought: Sequence[OrderStory]) -> Trial | None:
    """A small first purchase followed by one of at least TRIAL_FACTOR times its sum, in the same currency."""
    if not bought or not _sum(bought[0]):
        return None
    first = bought[0]
    small = _sum(first)
    for story in bought[1:]:
        same = story.order.state.value("currency") == first.order.state.value("currency")
        if same and _sum(story) >= TRIAL_FACTOR * small:
            return Trial(first.order.identifier.value, story.order.identifier.value)
    return None


def _sum(story: OrderStory) -> Decimal:
    return story.total or Decimal(0)


def _placed(story: OrderStory) -> datetime:
    return story.order.state.facts["placed"].at
