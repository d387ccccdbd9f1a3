"""From the things of a customer to the answers of the API: orders, parcels, checkouts, cases, invoices, surveys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pathline.contracts import customer as api
from pathline.domain import particulars
from pathline.domain.entities import Entity
from pathline.domain.facts import Fact, State
from pathline.domain.particulars import field
from pathline.domain.story import OrderStory, amount, promise_end
from pathline.domain.surveys import Survey, answer
from pathline.domain.visits import Bought
from pathline.storage.customers import Whole

_VARIANTS: Final[Mapping[Survey, str]] = {"nps": "nps", "csat": "csat_top_two", "ces": "ces"}
"""By which rule an answer is read."""


def order_out(story: OrderStory, bought: Bought | None = None) -> api.OrderOut:
    """An order with its parcels, its money and how it came about."""
    state = story.order.state
    delivered = story.delivered
    checkouts, parcels = story.of_kind("checkout"), story.of_kind("parcel")
    refunds = particulars.parts(state.marks.get("refunds", ()))
    cancellations = particulars.parts(state.marks.get("cancellations", ()))
    return api.OrderOut(
        order_id=story.order.identifier.value,
        status=story.status,
        total=money(story.total),
        currency=story.currency,
        placed_at=state.at("placed"),
        promised_at=story.promised_until,
        first_promised_at=story.first_promised_until,
        estimated_at=promise_end(story.estimated, story.zone),
        delivered_at=None if delivered is None else delivered.at,
        shipments=shipments(story),
        promises=[api.PromiseOut(*one) for one in particulars.promise_changes(story)],
        ship_by=promise_end(state.value("ship_by"), story.zone),
        delivery_method=text(state.value("delivery_method")),
        payment_method=text(state.value("payment_method")),
        parcels=len(parcels),
        parcels_delivered=sum("delivered" in parcel.state.facts for parcel in parcels),
        payments=payments([state, *(checkout.state for checkout in checkouts)]),
        refunds=[api.PartOut(part.at, money(part.amount), part.currency) for part in refunds],
        refunded=money(particulars.sum_of(refunds, story.total, story.currency)) if refunds else None,
        cancellations=[api.PartOut(part.at, money(part.amount), part.currency) for part in cancellations],
        cancelled=money(particulars.sum_of(cancellations, story.total, story.currency)) if cancellations else None,
        return_requested_at=state.at("return_requested"),
        return_reason=text(state.value("return_requested")),
        sessions=None if bought is None else bought.sessions,
        same_session=None if bought is None else bought.in_one_session,
    )


def shipments(story: OrderStory) -> list[api.ShipmentOut]:
    """The parcels, and one without a number for scans that named only the order."""
    out = [_shipment(parcel, parcel.identifier.value, story.zone) for parcel in story.of_kind("parcel")]
    if story.order.state.marks.get("scans"):
        out.append(_shipment(story.order, None, story.zone))
    return out


def _shipment(entity: Entity, number: str | None, zone: ZoneInfo) -> api.ShipmentOut:
    state = entity.state
    scans = state.marks.get("scans", ())
    status = "delivered" if "delivered" in state.facts else str(state.value("status") or "created")
    return api.ShipmentOut(
        tracking_number=number,
        carrier=text(state.value("carrier")),
        status=status,
        last_scan_at=scans[-1].at if scans else None,
        created_at=state.at("created"),
        estimated_at=promise_end(state.value("estimated"), zone),
        first_estimated_at=promise_end(state.value("estimated_first"), zone),
        out_for_delivery_at=state.at("out_for_delivery"),
        delivered_at=state.at("delivered"),
        failed_attempts=len(particulars.failed_attempts(state)),
        redirects=[api.RedirectOut(mark.at, told(mark, "to")) for mark in state.marks.get("redirects", ())],
        scans=[
            api.ScanOut(
                scan.at,
                told(scan, "status"),
                told(scan, "location"),
                told(scan, "reason"),
                told(scan, "carrier_status"),
            )
            for scan in scans
        ],
    )


def payments(states: Iterable[State]) -> list[api.PaymentOut]:
    """The attempts to pay that these states tell of."""
    return [
        api.PaymentOut(
            at=mark.at,
            outcome=str(field(mark, "outcome")),
            amount=money(amount(field(mark, "amount"))),
            currency=told(mark, "currency"),
            code=told(mark, "code"),
            decline_code=told(mark, "decline_code"),
            attempt=told(mark, "attempt"),
        )
        for mark in particulars.payments(states)
    ]


def checkouts(whole: Whole) -> list[api.CheckoutOut]:
    """The checkouts, newest first."""
    orders = whole.order_ids
    return [
        api.CheckoutOut(
            checkout_id=one.identifier.value,
            order_id=order_of(orders, one),
            started_at=one.state.at("started"),
            active_at=one.state.at("active"),
            completed_at=one.state.at("completed"),
            total=money(_first_amount(one.state, "total", "value")),
            currency=text(one.state.value("currency")),
            steps=[
                api.StepOut(mark.at, told(mark, "step"), str(field(mark, "outcome")))
                for mark in one.state.marks.get("steps", ())
            ],
            payments=payments([one.state]),
        )
        for one in _newest_of(whole, "checkout")
    ]


def cases(whole: Whole) -> list[api.CaseOut]:
    """The cases of the contact centre, newest first."""
    orders = whole.order_ids
    return [_case(orders, one) for one in _newest_of(whole, "case")]


def _case(orders: Mapping[UUID, str], one: Entity) -> api.CaseOut:
    state = one.state
    standing = particulars.standing(state)
    return api.CaseOut(
        case_id=one.identifier.value,
        order_id=order_of(orders, one),
        status=standing.status,
        channel=text(state.value("channel")),
        topic=text(state.value("topic")),
        sentiment=text(state.value("sentiment")),
        opened_at=state.at("opened"),
        wants_person="person_wanted" in state.facts,
        accepted_at=state.at("accepted"),
        answered_at=standing.answered_at,
        closed_at=state.at("closed"),
        outcome=text(state.value("outcome")),
        waiting_since=standing.waiting_since,
        replies=[api.ReplyOut(mark.at, told(mark, "by")) for mark in state.marks.get("replies", ())],
    )


def invoices(whole: Whole, zone: ZoneInfo) -> list[api.InvoiceOut]:
    """The invoices, newest first."""
    out, orders = [], whole.order_ids
    for one in _newest_of(whole, "invoice"):
        paid = payments([one.state])
        out.append(
            api.InvoiceOut(
                invoice_id=one.identifier.value,
                order_id=order_of(orders, one),
                paid_at=max((each.at for each in paid if each.outcome == "succeeded"), default=None),
                next_attempt_at=promise_end(one.state.value("next_attempt"), zone),
                payments=paid,
            )
        )
    return out


def disputes(whole: Whole) -> list[api.DisputeOut]:
    """The payments that were disputed, newest first."""
    orders = whole.order_ids
    return [
        api.DisputeOut(
            dispute_id=one.identifier.value,
            order_id=order_of(orders, one),
            opened_at=one.state.at("opened"),
            closed_at=one.state.at("closed"),
            amount=money(amount(one.state.value("total"))),
            currency=text(one.state.value("currency")),
            reason=text(one.state.value("reason")),
            outcome=text(one.state.value("outcome")),
        )
        for one in _newest_of(whole, "dispute")
    ]


def surveys(whole: Whole) -> list[api.SurveyOut]:
    """What was answered, newest first: as a person, or about a thing."""
    found: list[tuple[Fact, api.EntityOut | None]] = [
        (mark, None) for state in whole.strands.values() for mark in state.marks.get("surveys", ())
    ]
    for thing in whole.things:
        about = api.EntityOut(thing.identifier.kind, thing.identifier.value)
        found += [(mark, about) for mark in thing.state.marks.get("surveys", ())]
    found.sort(key=lambda one: (one[0].at, one[0].message_id), reverse=True)
    return [_survey(mark, about) for mark, about in found]


def _survey(mark: Fact, about: api.EntityOut | None) -> api.SurveyOut:
    read = answer(field(mark, "survey"), field(mark, "score"), field(mark, "scale"))
    return api.SurveyOut(
        at=mark.at,
        survey=told(mark, "survey"),
        score=told(mark, "score"),
        scale=told(mark, "scale"),
        variant=None if read is None else _VARIANTS[read.survey],
        group=None if read is None else read.group,
        entity=about,
    )


def order_of(orders: Mapping[UUID, str], part: Entity) -> str | None:
    """The order that a thing is part of, where it is one of the customer's."""
    return None if part.order is None else orders.get(part.order.target)


def text(value: Any) -> str | None:
    """A fact's text; what is none is as if it were not told."""
    return value if isinstance(value, str) else None


def told(mark: Fact, name: str) -> str | None:
    """A property of a mark as text."""
    value = field(mark, name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def money(sum_: Decimal | None) -> str | None:
    """A sum as text."""
    return None if sum_ is None else f"{sum_:f}"


def _first_amount(state: State, *names: str) -> Decimal | None:
    return next((sum_ for name in names if (sum_ := amount(state.value(name))) is not None), None)


def _newest_of(whole: Whole, kind: str) -> list[Entity]:
    found = [thing for thing in whole.things if thing.identifier.kind == kind]
    return sorted(found, key=lambda one: (_began(one.state), one.identifier.value), reverse=True)


def _began(state: State) -> float:
    times = [at for at in (state.first_seen_at, *(fact.at for fact in state.facts.values())) if at is not None]
    times += [mark.at for marks in state.marks.values() for mark in marks]
    return min((at.timestamp() for at in times), default=0.0)
