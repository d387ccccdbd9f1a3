"""What is offered of cases: what the customer said, and what was done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pathline.domain.detectors.offers.offer import (
    SURVEYS,
    Instant,
    Offer,
    Offers,
    attribute,
    by_agents,
    fact,
    first,
    in_order,
    instant_of,
    key,
    last,
)

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View
    from pathline.domain.facts import Fact, State

_CUSTOMER: Final = "customer"


def words_of(state: State) -> tuple[Fact, ...]:
    """What the customer said in a case: its opening, and each reply of theirs."""
    opened = state.facts.get("opened")
    replies = (one for one in state.marks.get("replies", ()) if attribute(one, "by") == _CUSTOMER)
    return in_order([*replies, *([] if opened is None else [opened])])


def _answers_of(state: State) -> list[Fact]:
    """What ends a wait: an agent's reply, or the closing of the case. A bot's reply does not."""
    closed = state.facts.get("closed")
    return [*by_agents(state), *([] if closed is None else [closed])]


def _waiting(state: State) -> Fact | None:
    """The first word of the last wait: since when the customer waits, or waited before the last answer."""
    words = words_of(state)
    if not words:
        return None
    before = last(one for one in _answers_of(state) if key(one) < key(words[-1]))
    return first(word for word in words if before is None or key(word) > key(before))


def _waiting_since(view: View) -> Instant | None:
    return instant_of(_waiting(view.state))


def _answered(view: View) -> Instant | None:
    words = words_of(view.state)
    return instant_of(first(one for one in _answers_of(view.state) if words and key(one) >= key(words[-1])))


def _agent_replied(view: View) -> Instant | None:
    return instant_of(first(by_agents(view.state)))


def _follow_ups(view: View) -> tuple[Fact, ...]:
    """What an agent did about it: replies, and the closing of a case; in its own case or any of the customer's."""
    cases = {case.id: case.state for case in (*view.story.of_kind("case"), *view.customer.cases)}
    if view.kind == "case":
        cases[view.id] = view.state
    return in_order(one for state in cases.values() for one in _answers_of(state))


FOLLOW_UPS: Final = Offer(
    "marks",
    "replies by an agent and closings, in its case or any case of the customer",
    _follow_ups,
    of_customer=True,
    told_by=("Contact Replied", "Contact Closed"),
)

CASE: Final[Offers] = {
    "opened": Offer("instant", "the case was opened", fact("opened")),
    "person_wanted": Offer("instant", "the customer asked for a person", fact("person_wanted")),
    "accepted": Offer("instant", "a person took it", fact("accepted")),
    "agent_replied": Offer("instant", "an agent first replied", _agent_replied),
    "waiting_since": Offer(
        "instant",
        "the customer's first word since the last answer; once answered, that of the last wait",
        _waiting_since,
    ),
    "answered": Offer(
        "instant", "an agent replied to the customer's last word, or the case was closed after it", _answered
    ),
    "closed": Offer("instant", "the case was last closed", fact("closed")),
    "surveys": SURVEYS,
    "follow_ups": FOLLOW_UPS,
}
