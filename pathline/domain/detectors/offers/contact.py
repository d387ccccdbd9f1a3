"""What is offered of cases: what the customer said, and what was done about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

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
)
from pathline.domain.vocabulary import CHANNELS, channel_of

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View
    from pathline.domain.facts import Fact, State

_CUSTOMER: Final = "customer"
_OTHER: Final = "other"
"""The channel of what was said on none that is known."""
_BETWEEN_WORDS: Final = re.compile(r"[\s_./-]+")


def _words(view: View) -> tuple[Fact, ...]:
    return _words_of(view.state)


def _words_of(state: State) -> tuple[Fact, ...]:
    """What the customer said in a case, each with its channel: its opening, and each reply of theirs."""
    opened, channel = state.facts.get("opened"), channel_of(state.value("channel")) or _OTHER
    replies = (one for one in state.marks.get("replies", ()) if attribute(one, "by") == _CUSTOMER)
    told = [(one, channel_of(said) or _OTHER if (said := attribute(one, "channel")) else channel) for one in replies]
    told += [] if opened is None else [(opened, channel)]
    return in_order(_saying(one, channel=said) for one, said in told)


def _issue_words(view: View) -> tuple[Fact, ...]:
    """What the customer said in a case, and before it in another one about the same that was open still.

    Of the other cases it is the last word on each channel that this case was not opened on: only the younger case tells
    that they went from one to the other. Before anybody was looked up, whatever channel there is counts as used at the
    opening itself.
    """
    own, opened = _words_of(view.state), view.state.facts.get("opened")
    if opened is None or _topic(view.state) is None:
        return own
    if view.id not in view.story.customers:
        return in_order((*own, *(_saying(opened, channel=one) for one in CHANNELS)))
    channel = channel_of(view.state.value("channel")) or _OTHER
    elsewhere = [
        word
        for case in _same_topic(view)
        for word in _words_of(case)
        if key(word) < key(opened) and attribute(word, "channel") != channel and not _closed_between(case, word, opened)
    ]
    latest = {attribute(word, "channel"): word for word in in_order(elsewhere)}
    return in_order((*own, *latest.values())) if latest else own


def _closed_between(case: State, word: Fact, then: Fact) -> bool:
    closed = case.facts.get("closed")
    return closed is not None and word.at <= closed.at <= then.at


def _requests(view: View) -> tuple[Fact, ...]:
    return _each(view, "requests", "person_wanted")


def _acceptances(view: View) -> tuple[Fact, ...]:
    return _each(view, "acceptances", "accepted")


def _each(view: View, mark: str, fact: str) -> tuple[Fact, ...]:
    """The marks of that name, and the first of all, which outlasts them and was kept before they were."""
    marks, held = view.state.marks.get(mark, ()), view.state.facts.get(fact)
    return marks if held is None or any(key(one) == key(held) for one in marks) else in_order((held, *marks))


def _answers(view: View) -> tuple[Fact, ...]:
    return in_order(_answers_of(view.state))


def _answers_of(state: State) -> list[Fact]:
    """What ends a wait: an agent's reply, or the closing of the case. A bot's reply does not."""
    closed = state.facts.get("closed")
    return [*by_agents(state), *([] if closed is None else [closed])]


def _openings(view: View) -> tuple[Fact, ...]:
    opened = view.state.facts.get("opened")
    if opened is None:
        return ()
    told = {name: view.state.value(name) for name in ("channel", "sentiment")}
    return (_saying(opened, topic=_topic(view.state), **told),)


def _saying(told: Fact, **attributes: object) -> Fact:
    return msgspec.structs.replace(told, value={k: v for k, v in attributes.items() if v is not None})


def _order_delivered(view: View) -> Instant | None:
    return None if view.story.purchase is None else instant_of(view.story.purchase.delivered)


def _closed_before(view: View) -> tuple[Fact, ...]:
    """Closings of the customer's other cases about the same topic.

    Before anybody was looked up it is the opening itself: whatever case there may be, none was closed nearer to it.
    """
    opened = view.state.facts.get("opened")
    if opened is None or _topic(view.state) is None:
        return ()
    if view.id not in view.story.customers:
        return (_saying(opened),)
    return in_order(told for case in _same_topic(view) if (told := case.facts.get("closed")) is not None)


def _same_topic(view: View) -> list[State]:
    """The customer's other cases about the same."""
    topic = _topic(view.state)
    return [case.state for case in view.customer.cases if case.id != view.id and _topic(case.state) == topic]


def _topic(state: State) -> str | None:
    """What a case is about, as it is compared: `Not received` and `not-received` are `not_received`."""
    told = state.value("topic")
    return None if told is None else _BETWEEN_WORDS.sub("_", str(told).strip().casefold())


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
    "person_wanted": Offer("instant", "the customer first asked for a person", fact("person_wanted")),
    "requests": Offer("marks", "requests for a person, with the opening or any reply (`wants_person`)", _requests),
    "accepted": Offer("instant", "a person first took it", fact("accepted")),
    "acceptances": Offer("marks", "each time a person took it", _acceptances),
    "agent_replied": Offer("instant", "an agent first replied", _agent_replied),
    "words": Offer(
        "marks",
        "what the customer said: the opening and their replies; with its `channel`, or `other`",
        _words,
    ),
    "issue_words": Offer(
        "marks",
        "the same, and the last word on each other channel in other cases about the same that were open at the opening",
        _issue_words,
        of_customer=True,
        told_by=("Contact Opened", "Contact Replied", "Contact Closed"),
    ),
    "answers": Offer("marks", "replies by an agent (of these `by` is agent), and the last closing", _answers),
    "openings": Offer(
        "marks",
        "the opening; `channel`, `sentiment` as last told, `topic` in lower case, its words joined by _",
        _openings,
    ),
    "order_delivered": Offer("instant", "the order that it is about was delivered", _order_delivered),
    "closed_before": Offer(
        "marks",
        "closings of the customer's other cases about the same topic",
        _closed_before,
        of_customer=True,
        told_by=("Contact Opened", "Contact Closed"),
    ),
    "closed": Offer("instant", "the case was last closed", fact("closed")),
    "surveys": SURVEYS,
    "follow_ups": FOLLOW_UPS,
}
