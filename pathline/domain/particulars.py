"""Things in particular, as people ask for them: each change of a promise, every payment, who waits for an answer.

All is derived from facts when it is read. Bounded sets keep the newest MAX_MARKS, so what is listed is at most that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pathline.domain.facts import Fact, State
from pathline.domain.story import SOME, OrderStory, amount, other_currency, promise_end

CUSTOMER: Final = "customer"
AGENT: Final = "agent"


class PromiseTold(NamedTuple):
    """A promise as it was from `told_at` on."""

    told_at: datetime
    promised_until: datetime


class Part(NamedTuple):
    """A cancellation or refund; `amount` is None for one of all that is left, and for one of `some` products."""

    at: datetime
    amount: Decimal | None
    currency: str | None = None
    """None where it was not told: then it is the order's."""
    some: bool = False
    """Whether it is of products whose sum nobody told."""


class CaseStanding(NamedTuple):
    """Where a case stands; `waiting_since` is the customer's first word that nobody has answered."""

    status: str
    waiting_since: datetime | None
    answered_at: datetime | None
    """The first reply of an agent."""


def promise_changes(story: OrderStory) -> list[PromiseTold]:
    """The promise as first told, and each change of it, oldest first. Told again without a change is no change."""
    state = story.order.state
    told = [(mark.at, mark.message_id, field(mark, "promised_at")) for mark in state.marks.get("promises", ())]
    # The first telling is kept also where many later ones have pushed it out of the bounded set.
    told += [(f.at, f.message_id, f.value) for name in ("promised_first", "promised") if (f := state.facts.get(name))]
    changes: list[PromiseTold] = []
    for at, _, value in sorted(told, key=lambda one: one[:2]):
        until = promise_end(value, story.zone)
        if until is not None and (not changes or changes[-1].promised_until != until):
            changes.append(PromiseTold(at, until))
    return changes


def payments(states: Iterable[State]) -> list[Fact]:
    """What became of each attempt to pay, oldest first; of an order, give its state and those of its checkouts."""
    told = {(mark.at, mark.message_id): mark for state in states for mark in state.marks.get("payments", ())}
    return [told[key] for key in sorted(told)]


def parts(marks: Iterable[Fact]) -> list[Part]:
    """Cancellations or refunds, oldest first."""
    return [
        Part(mark.at, amount(field(mark, "total")), _text(field(mark, "currency")), bool(field(mark, SOME)))
        for mark in marks
    ]


def sum_of(given: Iterable[Part], total: Decimal | None, currency: str | None = None) -> Decimal | None:
    """How much of the order these parts make: at most all of it; None where that cannot be said.

    It cannot of a sum in another `currency` than the order's, nor of products without a sum, unless some part is all
    that was left.
    """
    listed = list(given)
    if any(part.amount is None and not part.some for part in listed):
        return total
    if any(part.some or other_currency(part.currency, currency) for part in listed):
        return None
    so_far = sum((part.amount for part in listed if part.amount is not None), Decimal(0))
    return so_far if total is None else min(so_far, total)


def failed_attempts(parcel: State) -> list[Fact]:
    """The scans of deliveries that were tried in vain, oldest first."""
    return [scan for scan in parcel.marks.get("scans", ()) if field(scan, "status") == "attempt_failed"]


def standing(case: State) -> CaseStanding:
    """Where a case of the contact centre stands. A bot's reply is no answer."""
    replies = case.marks.get("replies", ())
    words = [mark.at for mark in replies if field(mark, "by") == CUSTOMER]
    answers = [mark.at for mark in replies if field(mark, "by") == AGENT]
    opened, closed = case.at("opened"), case.at("closed")
    if opened is not None:
        words.append(opened)
    # Who closes a case answers it.
    last = max([*answers, *([closed] if closed is not None else [])], default=None)
    waiting = min((at for at in words if last is None or at > last), default=None)
    if waiting is None:
        ends = (("closed", closed is not None), ("answered", bool(answers)), ("accepted", "accepted" in case.facts))
        status = next((word for word, holds in ends if holds), "known")
    else:
        status = "accepted" if "accepted" in case.facts else "open"
    return CaseStanding(status, waiting, min(answers, default=None))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def field(mark: Fact, name: str) -> Any:
    """A property that a mark kept, or None."""
    return mark.value.get(name) if isinstance(mark.value, dict) else None
