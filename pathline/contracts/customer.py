"""The answer about a customer: who they are, where they are, everything they bought, asked and said.

Names are a promise; fields may be added. Lists come from bounded sets: of what happens often the newest are there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from pathline.domain.risk import Band

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339 with a zone."""


class IdentifierOut(msgspec.Struct):
    """A name that a customer was met under."""

    kind: str
    value: str


class EntityOut(msgspec.Struct):
    """A thing: order, parcel, checkout, invoice, case, dispute; or `customer`, by the id of a strand."""

    kind: str
    value: str


class TouchOut(msgspec.Struct):
    """A touchpoint in short; `event` is null of one that is no longer retained."""

    at: Time
    channel: str | None
    event: str | None
    stage: str | None
    message_id: str


class StageOut(msgspec.Struct):
    """A stage that was entered: by the customer (`entity` null), or by one purchase."""

    stage: str
    entity: EntityOut | None
    entered_at: Time
    left_at: Time | None
    channel: str | None
    """The channel of the touchpoint that entered it; null where an older version kept none."""
    message_id: str
    last_touch: TouchOut | None = None
    """What the person did last at it; null where the newest things they did are all of other stages."""


class ActionOut(msgspec.Struct):
    """What is wanted at a stage that was entered; `done_at` null while it was not done."""

    stage: str
    action: str
    entity: EntityOut | None
    done_at: Time | None
    channel: str | None
    message_id: str | None


class ScanOut(msgspec.Struct):
    """One scan, as the carrier told it."""

    at: Time
    status: str | None
    location: str | None
    reason: str | None
    carrier_status: str | None


class RedirectOut(msgspec.Struct):
    """Where a parcel was sent instead."""

    at: Time
    to: str | None


class ShipmentOut(msgspec.Struct):
    """A parcel. `tracking_number` is null for scans that named only the order."""

    tracking_number: str | None
    carrier: str | None
    status: str
    last_scan_at: Time | None
    created_at: Time | None
    estimated_at: Time | None
    first_estimated_at: Time | None
    out_for_delivery_at: Time | None
    delivered_at: Time | None
    failed_attempts: int
    redirects: list[RedirectOut]
    scans: list[ScanOut]


class PromiseOut(msgspec.Struct):
    """The promise as it was from `told_at` on."""

    told_at: Time
    promised_at: Time


class PartOut(msgspec.Struct):
    """A refund or cancellation; `amount` is null for all that was left, `currency` where none was told."""

    at: Time
    amount: str | None
    currency: str | None


class PaymentOut(msgspec.Struct):
    """An attempt to pay; `outcome` is `succeeded` or `failed`."""

    at: Time
    outcome: str
    amount: str | None
    currency: str | None
    code: str | None
    decline_code: str | None
    attempt: str | None


class DisputeOut(msgspec.Struct):
    """A payment that was disputed; `outcome` is null while it is open."""

    dispute_id: str
    order_id: str | None
    opened_at: Time | None
    closed_at: Time | None
    amount: str | None
    currency: str | None
    reason: str | None
    outcome: str | None


class OrderOut(msgspec.Struct):
    """An order as it stands. A promise that was a date is the end of that day where the parcel goes."""

    order_id: str
    status: str
    total: str | None
    currency: str | None
    placed_at: Time | None
    promised_at: Time | None
    first_promised_at: Time | None
    estimated_at: Time | None
    delivered_at: Time | None
    shipments: list[ShipmentOut]
    promises: list[PromiseOut]
    """The first and each change, oldest first."""
    ship_by: Time | None
    delivery_method: str | None
    payment_method: str | None
    parcels: int
    parcels_delivered: int
    payments: list[PaymentOut]
    refunds: list[PartOut]
    refunded: str | None
    """The sum of the refunds; null while there is none, and where one is in another currency than the order or of
    products without a price."""
    cancellations: list[PartOut]
    cancelled: str | None
    return_requested_at: Time | None
    return_reason: str | None
    sessions: int | None
    """Sessions it took since the purchase before; null where the one of the purchase is not known."""
    same_session: bool | None
    """Whether the customer came and bought in one session; null where earlier ones may be forgotten."""


class StepOut(msgspec.Struct):
    """A step of a checkout; `outcome` is `viewed` or `completed`."""

    at: Time
    step: str | None
    outcome: str


class CheckoutOut(msgspec.Struct):
    """A checkout; `completed_at` is null while no order came of it."""

    checkout_id: str
    order_id: str | None
    started_at: Time | None
    active_at: Time | None
    completed_at: Time | None
    total: str | None
    currency: str | None
    steps: list[StepOut]
    payments: list[PaymentOut]


class ReplyOut(msgspec.Struct):
    """A word in a case; `by` is `customer`, `agent` or `bot`."""

    at: Time
    by: str | None


class CaseOut(msgspec.Struct):
    """A case of the contact centre: `open`, `accepted`, `answered`, `closed`, or `known` while nobody told more."""

    case_id: str
    order_id: str | None
    status: str
    channel: str | None
    topic: str | None
    sentiment: str | None
    opened_at: Time | None
    wants_person: bool
    accepted_at: Time | None
    answered_at: Time | None
    """The first reply of an agent."""
    closed_at: Time | None
    outcome: str | None
    waiting_since: Time | None
    """The customer's first word that nobody has answered; a bot's reply is no answer."""
    replies: list[ReplyOut]


class InvoiceOut(msgspec.Struct):
    """An invoice or subscription; `paid_at` is the last payment that succeeded."""

    invoice_id: str
    order_id: str | None
    paid_at: Time | None
    next_attempt_at: Time | None
    payments: list[PaymentOut]


class SurveyOut(msgspec.Struct):
    """An answer as it was given: `score` on `scale`, neither of them converted. `entity` is what it was about.

    `variant` says by which rule it is read (`nps`, `csat_top_two`, `ces`) and `group` what it counts as there; both are
    null for another survey, and for a score that its scale does not have.
    """

    at: Time
    survey: str | None
    score: str | None
    scale: str | None
    variant: str | None
    group: str | None
    entity: EntityOut | None


class SessionOut(msgspec.Struct):
    """What the customer did without a pause of 30 minutes; the first channel is where they came in."""

    started_at: Time
    ended_at: Time
    touchpoints: int
    channels: list[str]
    orders: list[str]


class TrialOut(msgspec.Struct):
    """A small first purchase and the first one after it of at least twice its sum, by their order ids."""

    first: str
    then: str


class RiskTerm(msgspec.Struct):
    """An open alert's part of the score, which all parts together are."""

    alert_id: str
    detector: str
    severity: str
    weight: float
    """Of its severity, when fresh."""
    age_seconds: float
    faded: float
    """The weight by now: half of it after each week."""
    contribution: float


class RiskOut(msgspec.Struct):
    """`score` is 0 to 100, `terms` what makes it up, most first."""

    score: float
    band: Band
    band_until: Time | None = None
    """When time alone takes it to a lower band, should no alert open or end; null where `band` is unknown."""
    terms: list[RiskTerm] = []


class Customer(msgspec.Struct):
    """A customer, everything under one root. `truncated` where there is more than is read at a time."""

    id: str
    name: str | None
    identifiers: list[IdentifierOut]
    accounts: list[str]
    segments: list[str]
    first_seen_at: Time | None
    last_seen_at: Time | None
    touchpoint_count: int
    channels: dict[str, int]
    stages: list[StageOut]
    orders: list[OrderOut]
    risk: RiskOut
    open_alerts: int
    truncated: bool
    relation: str
    """`visitor`, `new`, `returning`, or `switching` from a competitor."""
    switched_from: str | None
    customer_type: str | None
    """`business` or `consumer`; null for somebody unknown."""
    preferred_delivery: str | None
    preferred_payment: str | None
    trial: TrialOut | None
    silent_since: Time | None
    """When the person last did something; what was reported about their things does not count."""
    first_touch: TouchOut | None
    last_touch: TouchOut | None
    actions: list[ActionOut]
    moments_of_truth: list[TouchOut]
    """Of the newest touchpoints, newest first."""
    sessions: list[SessionOut]
    """Newest first."""
    sessions_complete: bool
    """Whether these are all there were."""
    checkouts: list[CheckoutOut]
    cases: list[CaseOut]
    invoices: list[InvoiceOut]
    disputes: list[DisputeOut]
    surveys: list[SurveyOut]
