"""A simulated customer's hands: every act and report as a Segment call, at the customer's own clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Literal

import msgspec

from pathline.demo.pace import Pace, Span, draw, written
from pathline.demo.words import CARRIERS, Persona, Product, catalogue, money, persona

By = Literal["web", "server"]
"""Which of the shop's write keys sends it: the browser's, or that of its servers, bank, courier and contact centre."""

Call = dict[str, Any]
CATALOGUE: Final = catalogue()
SITE: Final = "https://shop.example.com"


class Step(msgspec.Struct, frozen=True):
    """The next thing that happens to a customer: after `delay`, `by` sends `call`."""

    delay: timedelta
    by: By
    call: Call


class Customer:
    """One customer with a clock, a cart and an order. Its methods make the calls; a plot decides which.

    Ids carry `run`, so that a second run on the same Pathline tells of other orders, and the number of
    the customer. With the same seed, run, number and start the same calls come out, byte for byte.
    """

    def __init__(self, seed: int, number: int, *, run: str, start: datetime, pace: Pace) -> None:
        """Begin a life at `start`."""
        self.chance = Random(f"{seed}/{number}")
        self.pace = pace
        self.tag = f"{run}{number}"
        self.persona: Persona = persona(self.chance, self.tag)
        self.member = self.chance.random() < MEMBERS
        self.known = False
        self.at = start
        self.promised_until = start
        self.cart: list[Product] = []
        self._sent = 0
        self._carrier = self.chance.choice(CARRIERS)
        self._cases = 0

    @property
    def order_id(self) -> str:
        """The number of the order."""
        return f"A-{self.tag}"

    @property
    def tracking_number(self) -> str:
        """The number of the parcel."""
        return f"TRK{self.tag}".upper()

    @property
    def checkout_id(self) -> str:
        """The id of the checkout."""
        return f"co-{self.tag}"

    @property
    def total(self) -> str:
        """What the cart costs."""
        return money(sum(product.cents for product in self.cart))

    def web(self, event: str, properties: Call | None = None, *, after: Span | None = None) -> Step:
        """An act in the shop's pages."""
        return self._step("web", after or self.pace.think, type="track", event=event, properties=properties or {})

    def page(self, name: str, path: str) -> Step:
        """A page is looked at."""
        return self._step(
            "web", self.pace.think, type="page", name=name, properties={"path": path, "url": SITE + path}
        )  # fmt: skip

    def identify(self) -> Step:
        """The customer says who they are, or signs in."""
        self.known = True
        who = self.persona
        traits: Call = {"email": who.email, "name": who.name, "address": {"city": who.city, "country": who.country}}
        if self.chance.random() < WITH_PHONE:
            traits["phone"] = who.phone
        return self._step("web", self.pace.think, type="identify", traits=traits)

    def shop(self, event: str, properties: Call, *, after: Span | None = None) -> Step:
        """An act of the customer that a server of the shop tells of."""
        return self._step("server", after or self.pace.think, type="track", event=event, properties=properties)

    def report(self, event: str, properties: Call, *, after: Span | None = None) -> Step:
        """What happened to a thing, told by the bank, the courier or the contact centre."""
        return self._step("server", after or self.pace.handle, type="track", event=event, properties=properties)

    def scan(self, status: str, *, after: Span | None = None, **more: str) -> Step:
        """A scan of the parcel."""
        told = {"tracking_number": self.tracking_number, "status": status, "carrier": self._carrier, **more}
        return self.report("Shipment Scanned", told, after=after)

    def shipment(self) -> Step:
        """The label of the parcel."""
        told = {"order_id": self.order_id, "tracking_number": self.tracking_number, "carrier": self._carrier}
        return self.report("Shipment Created", told)

    def order(self, *, promise: Span | None = None) -> Step:
        """The order, with its promise."""
        delay = draw(self.chance, self.pace.think)
        pace = self.pace if promise is None else msgspec.structs.replace(self.pace, promise=promise)
        self.promised_until, told = pace.promised_at(self.chance, self.at + delay, self.persona.zone)
        properties = {
            "order_id": self.order_id,
            "checkout_id": self.checkout_id,
            "total": self.total,
            "currency": "EUR",
            "products": [product.properties() for product in self.cart],
            "promised_at": told,
            "delivery_zone": self.persona.zone,
            "delivery_method": "courier",
            "payment_method": self.chance.choice(("card", "paypal", "invoice")),
            "email": self.persona.email,
        }
        exactly = (delay.total_seconds(), delay.total_seconds())
        return self._step("server", exactly, type="track", event="Order Completed", properties=properties)

    def case_id(self, *, new: bool = False) -> str:
        """The customer's case with the contact centre."""
        self._cases += new
        return f"case-{self.tag}-{self._cases}"

    def until_promise(self, least: float, most: float) -> Span:
        """From now to that many seconds after the end of the promise; not before now."""
        left = (self.promised_until - self.at).total_seconds()
        return max(0.0, left + least), max(0.0, left + most)

    def _step(self, by: By, after: Span, **call: Any) -> Step:
        delay = draw(self.chance, after)
        self.at += delay
        self._sent += 1
        who: Call = {}
        if call.get("event") not in NAMELESS:
            who = {"userId": f"customer-{self.tag}"} if self.member and self.known else {}
            if by == "web":
                who["anonymousId"] = f"browser-{self.tag}"
            elif not who:
                call["properties"] = {**call["properties"], "email": self.persona.email}
        call |= {"messageId": f"shop-{self.tag}-{self._sent}", "timestamp": written(self.at), **who}
        return Step(delay, by, call)


MEMBERS: Final = 0.7
"""Of customers who buy, the share that signs in; the others stay guests with a mailbox."""
WITH_PHONE: Final = 0.4
NAMELESS: Final = frozenset({"Shipment Created", "Shipment Scanned", "Payment Failed", "Payment Succeeded"})
"""Reports of senders who know the thing and not the person."""
