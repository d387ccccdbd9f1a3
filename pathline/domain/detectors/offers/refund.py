"""What a customer is to get back of an order, and what was given back: sums where they were told.

A debt begins with a cancellation, of the order or of a part with its sum, or with a parcel that came back. Refunds
are added up against it. What of several parcels one was worth nobody tells, so any refund since it was on its way
back will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from pathline.domain.detectors.offers.offer import attribute, first, key, last
from pathline.domain.detectors.offers.shipping import BACKWARDS, scanned, states_of
from pathline.domain.facts import Fact
from pathline.domain.story import SOME, OrderStory, amount, other_currency

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View


class Debt(NamedTuple):
    """Money that is to be given back."""

    told: Fact
    """By what it came to be owed."""
    settled: Fact | None
    """The refund that made it good, with those before."""


def debts(view: View, payments: Callable[[View], Iterable[Fact]]) -> list[Debt]:
    """All there ever were of an order, in the order of time.

    Args:
        view: the order.
        payments: tells those of the purchase; asked only where something may be owed.
    """
    purchase = view.story.purchase
    if purchase is None:
        return []
    marks = purchase.order.state.marks
    if "cancellations" not in marks and not scanned(states_of(view), "returned"):
        return []
    refunds, paid = marks.get("refunds", ()), _paid(payments(view), purchase.currency)
    back = _all_back(purchase)
    whole = first([purchase.cancelled, back])
    found = [] if whole is None else [Debt(whole, _covered(purchase, refunds, _least(purchase.total, paid)))]
    found += _cancelled_parts(purchase, refunds, paid)
    found += [] if back is not None else _parcels_back(purchase, refunds)
    return sorted(found, key=lambda debt: key(debt.told))


def _all_back(purchase: OrderStory) -> Fact | None:
    """The last parcel came back; a report that names only the order means all of it."""
    parcels = [first(scanned([parcel.state], "returned")) for parcel in purchase.of_kind("parcel")]
    last_back = last(parcels) if parcels and None not in parcels else None
    return first([*scanned([purchase.order.state], "returned"), last_back])


def _parcels_back(purchase: OrderStory, refunds: Sequence[Fact]) -> Iterator[Debt]:
    for parcel in purchase.of_kind("parcel"):
        came = first(scanned([parcel.state], "returned"))
        if came is None:
            continue
        asked = purchase.order.state.facts.get("return_requested")
        since = first([came, asked, *scanned([parcel.state], *BACKWARDS)])
        assert since is not None
        yield Debt(came, first(one for one in refunds if one.at >= since.at) or purchase.refunded)


def _cancelled_parts(purchase: OrderStory, refunds: Sequence[Fact], paid: Decimal | None) -> Iterator[Debt]:
    """A debt for each part that was cancelled; the last, with which all was, is that of the whole."""
    total, cancelled = purchase.total, purchase.cancelled
    so_far = Decimal(0)
    for one in purchase.order.state.marks.get("cancellations", ()):
        part = amount(attribute(one, "total"))
        if part is None or one is cancelled or other_currency(attribute(one, "currency"), purchase.currency):
            continue
        so_far += part
        # Who pays only for what is left gets nothing back.
        owed = so_far if paid is None or total is None else min(so_far, paid - (total - so_far))
        if owed > 0:
            some = first(refund for refund in refunds if attribute(refund, SOME) and refund.at >= one.at)
            yield Debt(one, first([_covered(purchase, refunds, owed), some]))


def _covered(purchase: OrderStory, refunds: Iterable[Fact], owed: Decimal | None) -> Fact | None:
    """The refund by which so much was given back; one without a sum is of all."""
    so_far = Decimal(0)
    for one in refunds:
        part = amount(attribute(one, "total"))
        if attribute(one, SOME) or other_currency(attribute(one, "currency"), purchase.currency):
            continue
        if part is None or owed is None:
            return one
        so_far += part
        if so_far >= owed:
            return one
    return None


def _paid(payments: Iterable[Fact], currency: str | None) -> Decimal | None:
    """What was paid, where every payment tells its sum in the order's currency."""
    succeeded = [one for one in payments if attribute(one, "outcome") == "succeeded"]
    sums = [amount(attribute(one, "amount")) for one in succeeded]
    known = [told for told in sums if told is not None]
    if not known or len(known) < len(sums):
        return None
    if any(other_currency(attribute(one, "currency"), currency) for one in succeeded):
        return None
    return sum(known, Decimal(0))


def _least(total: Decimal | None, paid: Decimal | None) -> Decimal | None:
    return total if total is None or paid is None else min(total, paid)


def owed_since(found: Sequence[Debt]) -> Fact | None:
    """The first debt that is open; where none is, the first there was."""
    return next((debt.told for debt in found if debt.settled is None), found[0].told if found else None)


def settled(found: Sequence[Debt]) -> Fact | None:
    """The refund by which the last of the debts was made good, once all are."""
    made_good = [debt.settled for debt in found]
    return None if None in made_good else last(made_good)
