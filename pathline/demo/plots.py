"""The plots of the demo's shop: what may happen to a customer, as generators of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pathline.demo.customer import CATALOGUE, Customer, Step
from pathline.demo.pace import Span
from pathline.demo.words import COMMENTS, DECLINES, TROUBLES

Plot = Callable[[Customer], Iterator[Step]]

SOON: Final = 0.6
"""A hasty promise is this share of a usual one; still long enough to be seen at risk before it is late."""


def arrive(c: Customer) -> Iterator[Step]:
    """How they come to the shop."""
    way = c.chance.random()
    if way < 0.3:
        campaign = c.chance.choice(("spring", "newsletter", "brand"))
        yield c.web("Ad Clicked", {"campaign": campaign, "channel": c.chance.choice(("ad", "social"))})
    elif way < 0.4:
        yield c.web("Referral Followed", {"campaign": "friends"})
    elif way < 0.5:
        yield c.shop("Store Visited", {"store_id": c.chance.choice(("berlin", "lyon"))})
    yield c.page("Home", "/")


def browse(c: Customer, looks: int) -> Iterator[Step]:
    """Search and look; the last thing looked at goes into the cart."""
    if c.chance.random() < 0.5:
        wanted = c.chance.choice(CATALOGUE).name.split()[-1]
        yield c.web("Products Searched", {"query": wanted.lower(), "results": c.chance.randint(1, 9)})
    for _ in range(looks):
        product = c.chance.choice(CATALOGUE)
        yield c.web("Product Viewed", product.properties())
        c.cart = [product]


def fill_cart(c: Customer) -> Iterator[Step]:
    """One or two things in the cart."""
    if c.chance.random() < 0.4:
        c.cart.append(c.chance.choice(CATALOGUE))
    for product in c.cart:
        yield c.web("Product Added", {**product.properties(), "quantity": 1})


def check_out(c: Customer) -> Iterator[Step]:
    """Up to the payment."""
    yield c.identify()
    named = {"checkout_id": c.checkout_id, "value": c.total, "currency": "EUR"}
    yield c.web("Checkout Started", named)
    yield c.web("Checkout Step Completed", {"checkout_id": c.checkout_id, "step": 1})


def pay(c: Customer, failures: int = 0, *, succeed: bool = True) -> Iterator[Step]:
    """The payment, after some that fail: the bank answers while the customer waits."""
    yield c.web("Payment Info Entered", {"checkout_id": c.checkout_id})
    paid = {"checkout_id": c.checkout_id, "amount": c.total, "currency": "EUR"}
    for attempt in range(1, failures + 1):
        declined = {"code": "card_declined", "decline_code": c.chance.choice(DECLINES), "attempt": attempt}
        yield c.report("Payment Failed", {**paid, **declined}, after=c.pace.think)
    if succeed:
        yield c.report("Payment Succeeded", {**paid, "attempt": failures + 1}, after=c.pace.think)


def buy(c: Customer, *, failures: int = 0, promise: Span | None = None) -> Iterator[Step]:
    """From the door to the order."""
    yield from arrive(c)
    yield from browse(c, c.chance.randint(1, 4))
    yield from fill_cart(c)
    yield from check_out(c)
    yield from pay(c, failures)
    yield c.order(promise=promise)


def ship(c: Customer) -> Iterator[Step]:
    """From the order to the van."""
    yield c.shipment()
    yield c.scan("picked_up")
    yield c.scan("in_transit", location=c.persona.city)


def rate(c: Customer, least: int, most: int) -> Iterator[Step]:
    """A survey, answered."""
    score = c.chance.randint(least, most)
    words = COMMENTS["good" if score > BAD_AT_MOST else "bad"]
    answer = {"survey": "nps", "score": score, "order_id": c.order_id, "comment": c.chance.choice(words)}
    yield c.web("Survey Answered", answer, after=c.pace.rest)


def call_support(c: Customer, topic: str) -> Iterator[Step]:
    """A contact, from the question to the end."""
    case, channel = c.case_id(new=True), c.chance.choice(("phone", "chat", "email"))
    opened = {"case_id": case, "channel": channel, "topic": topic, "wants_person": channel == "chat"}
    about = {"order_id": c.order_id} if topic == "delivery" else {}
    yield c.shop("Contact Opened", {**opened, **about}, after=c.pace.answer)
    yield c.report("Contact Accepted", {"case_id": case}, after=c.pace.answer)
    yield c.report("Contact Replied", {"case_id": case, "by": "agent", "channel": channel}, after=c.pace.answer)
    yield c.report("Contact Closed", {"case_id": case, "outcome": "solved"}, after=c.pace.answer)


BAD_AT_MOST: Final = 6


def content(c: Customer) -> Iterator[Step]:
    """All goes well."""
    yield from buy(c)
    yield from ship(c)
    yield c.scan("out_for_delivery")
    yield c.scan("delivered")
    if c.chance.random() < 0.5:
        yield from rate(c, 8, 10)


def late(c: Customer) -> Iterator[Step]:
    """The promise runs out on the road."""
    hasty = (c.pace.promise[0] * SOON, c.pace.promise[0] * SOON * 1.3) if not c.pace.by_day else None
    yield from buy(c, promise=hasty)
    yield from ship(c)
    least, most = c.pace.overdue
    if c.chance.random() < 0.4:
        yield from call_support(c, "delivery")
    yield c.scan("out_for_delivery", after=c.until_promise(least, most))
    yield c.scan("delivered")
    yield from rate(c, 2, 8)


def hurried(c: Customer) -> Iterator[Step]:
    """They know what they want, and the shop promises too much: who watches sees it late within half a minute."""
    yield c.page("Home", "/")
    yield from browse(c, 1)
    yield c.web("Product Added", {**c.cart[0].properties(), "quantity": 1})
    yield from check_out(c)
    yield c.order(promise=(5.0, 8.0))
    yield from ship(c)
    yield from call_support(c, "delivery")
    least, most = c.pace.overdue
    yield c.scan("out_for_delivery", after=c.until_promise(least, most))
    yield c.scan("delivered", after=c.pace.overdue)
    yield from rate(c, 2, 8)


def troubled(c: Customer) -> Iterator[Step]:
    """The courier has trouble, and gets over it."""
    yield from buy(c)
    yield from ship(c)
    status, reason = c.chance.choice(TROUBLES)
    yield c.scan(status, reason=reason)
    if c.chance.random() < 0.5:
        yield from call_support(c, "delivery")
    yield c.scan("in_transit", after=c.pace.answer, location=c.persona.city)
    yield c.scan("out_for_delivery", after=c.pace.answer)
    yield c.scan("delivered")


def declined(c: Customer) -> Iterator[Step]:
    """The payment fails, once or more; some give up."""
    if c.chance.random() < 0.6:
        yield from buy(c, failures=c.chance.randint(1, 3))
        yield from ship(c)
        yield c.scan("out_for_delivery")
        yield c.scan("delivered")
        return
    yield from arrive(c)
    yield from browse(c, 2)
    yield from fill_cart(c)
    yield from check_out(c)
    yield from pay(c, 2, succeed=False)
    if c.chance.random() < 0.5:
        yield from call_support(c, "payment")


def abandoned(c: Customer) -> Iterator[Step]:
    """They leave at the till; some come back."""
    yield from arrive(c)
    yield from browse(c, c.chance.randint(1, 3))
    yield from fill_cart(c)
    yield from check_out(c)
    if c.chance.random() < 0.4:
        least, most = c.pace.rest
        yield c.web("Checkout Step Completed", {"checkout_id": c.checkout_id, "step": 2}, after=(least * 3, most * 3))
        yield from pay(c)
        yield c.order()
        yield from ship(c)
        yield c.scan("delivered")


def detractor(c: Customer) -> Iterator[Step]:
    """It came in time, and still they are unhappy."""
    yield from buy(c)
    yield from ship(c)
    yield c.scan("delivered")
    yield from rate(c, 0, BAD_AT_MOST)
    if c.chance.random() < 0.6:
        yield from call_support(c, "quality")


def at_risk(c: Customer) -> Iterator[Step]:
    """It lies in the depot until shortly before the promise ends."""
    yield from buy(c)
    yield c.shipment()
    short = (-0.12 * c.pace.promise[0], -0.06 * c.pace.promise[0])
    yield c.scan("out_for_delivery", after=c.until_promise(*short))
    yield c.scan("delivered", after=(0.0, 0.04 * c.pace.promise[0]))


def looker(c: Customer) -> Iterator[Step]:
    """They look around, and nobody ever learns who they were."""
    yield from arrive(c)
    yield from browse(c, c.chance.randint(0, 3))


OPENING: Final[tuple[Plot, ...]] = (hurried, troubled, declined, abandoned, detractor, at_risk, late)
"""The first customers, in this order: every pain is seen within the first two minutes."""

WEIGHTS: Final[dict[Plot, int]] = {
    content: 38, looker: 26, late: 8, troubled: 6, declined: 7, abandoned: 7, detractor: 5, at_risk: 3,
}  # fmt: skip
"""Of all later ones, how many in a hundred."""
