"""From what storage read to the answers of the API."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.contracts import api
from pathline.contracts import customer as told
from pathline.domain import relation, visits
from pathline.domain.alerts import Alert
from pathline.domain.facts import STAGE_PREFIX, State
from pathline.domain.fold import CLAIMING_KINDS
from pathline.domain.journey import StageSpan, Wanted, stage_spans, wanted
from pathline.domain.risk import Pain, band_until, risk, terms
from pathline.domain.stages import Stages
from pathline.domain.story import OrderStory
from pathline.domain.visits import Act, LastTouches
from pathline.storage.accounts import MAX_ACCOUNTS
from pathline.storage.acts import Lived
from pathline.storage.customers import Whole, name_of
from pathline.storage.touchpoints import Stored
from services.console import things


def customer(
    whole: Whole,
    alive: Sequence[Alert],
    stages: Stages,
    zone: ZoneInfo,
    now: datetime,
    lived: Lived,
    belongs: Sequence[str],
    composites: Container[str],
) -> told.Customer:
    """The answer about a customer.

    Args:
        whole: the customer.
        alive: their alerts that are not over.
        stages: of the business.
        zone: meant where an order does not say where it goes.
        now: the database's clock.
        lived: what they did.
        belongs: the accounts that are known by name.
        composites: detectors that are told by alerts; what theirs add up is not added once more.
    """
    states, strands = list(whole.states), list(whole.strands.values())
    seen = [state.first_seen_at for state in states if state.first_seen_at is not None]
    last = [state.last_seen_at for state in states if state.last_seen_at is not None]
    stories = [OrderStory(order, whole.parts_of(order), zone) for order in whole.orders]
    purchases = relation.purchases(stories)
    placed = {one.order.identifier.value: one.order.state.facts["placed"].at for one in purchases}
    sessions = visits.sessions(lived.acts, placed, complete=lived.complete)
    bought = visits.bought(sessions, complete=lived.complete)
    accounts_, segments_ = accounts(belongs, strands), segments(strands)
    switched_from, of_type = (relation.last_told(strands, name) for name in ("switched_from", "customer_type"))
    trial = relation.trial(purchases)
    purchased, touches = _purchased(whole), visits.last_touches(lived.acts)
    return told.Customer(
        id=str(whole.id),
        name=name_of(strands),
        identifiers=[
            told.IdentifierOut(person.identifier.kind, person.identifier.value)
            for person in whole.family.people.values()
        ],
        accounts=accounts_,
        segments=segments_,
        first_seen_at=min(seen, default=None),
        last_seen_at=max(last, default=None),
        touchpoint_count=sum(state.count for state in states),
        channels=channels(states),
        stages=[
            _stage(span, one.named, one.last(touches, span.stage))
            for one in purchased
            for span in stage_spans(one.states, stages.names)
        ],
        orders=[things.order_out(story, bought.get(story.order.identifier.value)) for story in stories],
        risk=_risk([one for one in alive if one.detector not in composites], now),
        open_alerts=len(alive),
        truncated=whole.truncated,
        relation=relation.relation(
            purchases, switching=switched_from is not None or relation.SWITCHING in map(str.lower, segments_)
        ),
        switched_from=None if switched_from is None else str(switched_from.value),
        customer_type=relation.customer_type(
            None if of_type is None else of_type.value, accounts=bool(accounts_), identified=_identified(whole)
        ),
        preferred_delivery=relation.preferred(purchases, "delivery_method"),
        preferred_payment=relation.preferred(purchases, "payment_method"),
        trial=None if trial is None else told.TrialOut(*trial),
        silent_since=max((s.last_seen_at for s in strands if s.last_seen_at is not None), default=None),
        first_touch=_first_touch(strands, lived),
        last_touch=_touch(lived.acts[0]) if lived.acts else None,
        actions=[_action(action, one.named) for one in purchased for action in wanted(one.states, stages.actions)],
        moments_of_truth=[_touch(act) for act in lived.acts if act.moment_of_truth],
        sessions=[
            told.SessionOut(one.started_at, one.ended_at, one.acts, list(one.channels), list(one.orders))
            for one in reversed(sessions[-visits.MAX_SESSIONS :])
        ],
        sessions_complete=lived.complete and len(sessions) <= visits.MAX_SESSIONS,
        checkouts=things.checkouts(whole),
        cases=things.cases(whole),
        invoices=things.invoices(whole, zone),
        disputes=things.disputes(whole),
        surveys=things.surveys(whole),
    )


def _risk(alive: Sequence[Alert], now: datetime) -> told.RiskOut:
    pains = [Pain(alert.severity, alert.opened_at) for alert in alive]
    scored = risk(pains, now)
    parts = [
        told.RiskTerm(
            str(alert.id), alert.detector, alert.severity, term.weight, term.age.total_seconds(),
            round(term.faded, 3), round(term.contribution, 1),
        )
        for alert, term in zip(alive, terms(pains, now), strict=True)
    ]  # fmt: skip
    return told.RiskOut(
        scored.score, scored.band, band_until(pains, now), sorted(parts, key=lambda part: -part.contribution)
    )


def channels(states: Iterable[State]) -> dict[str, int]:
    """Touchpoints by channel, most first."""
    counted: dict[str, int] = {}
    for state in states:
        for channel, count in state.channels.items():
            counted[channel] = counted.get(channel, 0) + count
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def accounts(belongs: Sequence[str], states: Iterable[State]) -> list[str]:
    """The accounts a customer belongs to, by name; also those that an earlier version noted without one."""
    marks = (mark for state in states for mark in state.marks.get("accounts", ()))
    remembered = sorted({str(mark.value["account"]) for mark in marks if mark.value})
    return sorted(list(dict.fromkeys([*belongs, *remembered]))[:MAX_ACCOUNTS])


def segments(states: Iterable[State]) -> list[str]:
    """The segments last told."""
    last = relation.last_told(states, "segments")
    return [] if last is None else [str(one) for one in last.value]


class _InStages(NamedTuple):
    """What is in stages: a person, or one of their purchases."""

    named: told.EntityOut | None
    """None: the person."""
    ids: Sequence[UUID | None]
    states: Sequence[State]

    def last(self, touches: LastTouches, stage: str) -> Act | None:
        """What the person did last about it at a stage."""
        found = [act for one in self.ids if (act := touches.get((one, stage))) is not None]
        return max(found, key=lambda act: (act.at, act.message_id), default=None)


def _purchased(whole: Whole) -> list[_InStages]:
    """The person, then each purchase: an order with its parts, or a thing without one."""
    out = [_InStages(None, (None,), list(whole.strands.values()))]
    orders = {entity.id for entity in whole.orders}
    for entity in sorted(whole.things, key=lambda e: (e.identifier.kind != "order", e.identifier)):
        if entity.order is not None and entity.order.target in orders:
            continue
        parts = [entity, *(whole.parts_of(entity) if entity.identifier.kind == "order" else ())]
        named = told.EntityOut(entity.identifier.kind, entity.identifier.value)
        out.append(_InStages(named, [one.id for one in parts], [one.state for one in parts]))
    return out


def _stage(span: StageSpan, entity: told.EntityOut | None, last: Act | None) -> told.StageOut:
    touch = None if last is None else _touch(last)
    return told.StageOut(span.stage, entity, span.entered_at, span.left_at, span.channel, span.message_id, touch)


def _action(one: Wanted, entity: told.EntityOut | None) -> told.ActionOut:
    if one.done is None:
        return told.ActionOut(one.stage, one.action, entity, None, None, None)
    return told.ActionOut(one.stage, one.action, entity, one.done.at, things.text(one.done.value), one.done.message_id)


def _touch(act: Act) -> told.TouchOut:
    return told.TouchOut(act.at, act.channel, act.event, act.stage, act.message_id)


def _first_touch(strands: Iterable[State], lived: Lived) -> told.TouchOut | None:
    """The first touchpoint; where it is no longer retained, the first that entered a stage, which facts remember."""
    entries = [
        told.TouchOut(fact.at, things.text(fact.value), None, name.removeprefix(STAGE_PREFIX), fact.message_id)
        for state in strands
        for name, fact in state.facts.items()
        if name.startswith(STAGE_PREFIX)
    ]
    first = min(entries, key=lambda touch: (touch.at, touch.message_id), default=None)
    oldest = None if lived.oldest is None else _touch(lived.oldest)
    if first is None or oldest is None:
        return first or oldest
    return first if first.at < oldest.at else oldest


def _identified(whole: Whole) -> bool:
    return any(person.identifier.kind in CLAIMING_KINDS for person in whole.family.people.values())


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
        entity=told.EntityOut(one.entity_kind, one.entity_value),
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
        shadow=one.shadow,
        detector_version=one.detector_version,
    )
