"""What is offered of invoices and disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pathline.domain.detectors.offers.offer import PAYMENTS, Offer, Offers, fact

if TYPE_CHECKING:
    from pathline.domain.detectors.view import View
    from pathline.domain.facts import Fact


def _openings(view: View) -> tuple[Fact, ...]:
    opened = view.state.facts.get("opened")
    return () if opened is None else (opened,)


INVOICE: Final[Offers] = {"payments": PAYMENTS}

DISPUTE: Final[Offers] = {
    "opened": Offer("instant", "the customer's bank first told of it", fact("opened")),
    "openings": Offer("marks", "the same, as what happened rather than when", _openings),
    "closed": Offer("instant", "it was last closed", fact("closed")),
}
