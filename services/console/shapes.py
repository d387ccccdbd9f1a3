"""From what storage read to the answers of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.contracts import api
from pathline.domain.alerts import Alert
from pathline.domain.entities import Entity
from pathline.domain.facts import State
from pathline.domain.journey import StageSpan, stage_spans
from pathline.domain.risk import Pain, risk
from pathline.domain.story import OrderStory, promise_end
from pathline.storage.customers import Whole, name_of
from pathline.storage.touchpoints import Stored


def customer(
    whole: Whole, alive: Sequence[Alert], stages: Sequence[str], zone: ZoneInfo, now: datetime
) -> api.Customer:
    """A customer; `alive` are their alerts that are not over, `now` the database's clock."""
    scored = risk((Pain(alert.severity, alert.opened_at) for alert in alive), now)
    states = list(whole.states)
    seen = [state.first_seen_at for state in states if state.first_seen_at is not None]
    last = [state.last_seen_at for state in states if state.last_seen_at is not None]
    return api.Customer(
        id=str(whole.id),
        name=name_of(whole.strands.values()),
        identifiers=[
            api.IdentifierOut(person.identifier.kind, person.identifier.value)
            for person in whole.family.people.values()
        ],
        accounts=accounts(whole.strands.values()),
        segments=segments(whole.strands.values()),
        first_seen_at=min(seen, default=None),
        last_seen_at=max(last, default=None),
        touchpoint_count=sum(state.count for state in states),
        channels=channels(states),
        stages=stages_of(whole, stages),
        orders=[order_out(OrderStory(order, whole.parts_of(order), zone)) for order in whole.orders],
        risk=api.RiskOut(scored.score, scored.band),
        open_alerts=len(alive),
        truncated=whole.truncated,
    )


def channels(states: Iterable[State]) -> dict[str, int]:
    """Touchpoints by channel, most first."""
    counted: dict[str, int] = {}
    for state in states:
        for channel, count in state.channels.items():
            counted[channel] = counted.get(channel, 0) + count
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def accounts(states: Iterable[State]) -> list[str]:
    """The accounts a customer belongs to, by name."""
    marks = (mark for state in states for mark in state.marks.get("accounts", ()))
    return sorted({str(mark.value["account"]) for mark in marks if mark.value})


def segments(states: Iterable[State]) -> list[str]:
    """The segments last told."""
    told = [fact for state in states if (fact := state.facts.get("segments")) is not None]
    last = max(told, key=lambda fact: (fact.at, fact.message_id), default=None)
    return [] if last is None else [str(one) for one in last.value]


def stages_of(whole: Whole, order: Sequence[str]) -> list[api.StageOut]:
    """The stages of the person, then those of each purchase: an order with its parts, or a thing without one."""
    out = [_stage(span, None) for span in stage_spans(whole.strands.values(), order)]
    orders = {entity.id for entity in whole.orders}
    for entity in sorted(whole.things, key=lambda e: (e.identifier.kind != "order", e.identifier)):
        if entity.order is not None and entity.order.target in orders:
            continue
        parts = whole.parts_of(entity) if entity.identifier.kind == "order" else []
        named = api.EntityOut(entity.identifier.kind, entity.identifier.value)
        spans = stage_spans([entity.state, *(part.state for part in parts)], order)
        out += [_stage(span, named) for span in spans]
    return out


def _stage(span: StageSpan, entity: api.EntityOut | None) -> api.StageOut:
    return api.StageOut(span.stage, entity, span.entered_at, span.left_at)


def order_out(story: OrderStory) -> api.OrderOut:
    """An order with its parcels."""
    state = story.order.state
    currency = state.value("currency")
    delivered = story.delivered
    return api.OrderOut(
        order_id=story.order.identifier.value,
        status=story.status,
        total=None if story.total is None else f"{story.total:f}",
        currency=currency if isinstance(currency, str) else None,
        placed_at=state.at("placed"),
        promised_at=story.promised_until,
        first_promised_at=story.first_promised_until,
        estimated_at=promise_end(story.estimated, story.zone),
        delivered_at=None if delivered is None else delivered.at,
        shipments=shipments(story),
    )


def shipments(story: OrderStory) -> list[api.ShipmentOut]:
    """The parcels, and one without a number for scans that named only the order."""
    out = [_shipment(parcel, parcel.identifier.value) for parcel in story.of_kind("parcel")]
    if story.order.state.marks.get("scans"):
        out.append(_shipment(story.order, None))
    return out


def _shipment(entity: Entity, number: str | None) -> api.ShipmentOut:
    state = entity.state
    scans = state.marks.get("scans", ())
    carrier, told = state.value("carrier"), state.value("status")
    status = "delivered" if "delivered" in state.facts else str(told or "created")
    return api.ShipmentOut(
        number, carrier if isinstance(carrier, str) else None, status, scans[-1].at if scans else None
    )


def touchpoint(stored: Stored) -> api.TouchpointOut:
    """A touchpoint; its properties pass as the JSON text that was stored."""
    return api.TouchpointOut(
        message_id=stored.message_id,
        event=stored.event,
        type=stored.type,
        channel=stored.channel,
        occurred_at=stored.occurred_at,
        told_at=stored.told_at,
        clamped=stored.clamped,
        received_at=stored.received_at,
        stage=stored.stage,
        moment_of_truth=stored.moment_of_truth,
        privacy_signal=stored.privacy_signal,
        properties=msgspec.Raw(stored.body.encode()),
    )


def alert(one: Alert, customers: Mapping[UUID, UUID]) -> api.AlertOut:
    """An alert; `customers` by the alert's id."""
    owner = customers.get(one.id)
    return api.AlertOut(
        id=str(one.id),
        detector=one.detector,
        severity=one.severity,
        state=one.state,
        title=one.title,
        ease=one.ease,
        customer_id=None if owner is None else str(owner),
        entity=api.EntityOut(one.entity_kind, one.entity_value),
        opened_at=one.opened_at,
        updated_at=one.updated_at,
        resolved_at=one.resolved_at,
        resolution=one.resolution,
        why=list(one.why),
        assignee=one.assignee,
        episode=one.episode,
        previous_id=None if one.previous_id is None else str(one.previous_id),
        amount=one.amount,
        currency=one.currency,
        snoozed_until=one.snoozed_until,
        claimed_until=one.claimed_until,
        blind=one.blind,
        revision=one.revision,
    )
