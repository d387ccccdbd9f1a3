"""The answers of the console's API, `/api/v1`. Their names are a promise; fields may be added.

Times are RFC 3339 with a zone, money is a decimal as text. Ids are opaque.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from pathline.contracts.account import Account
from pathline.contracts.customer import Customer, EntityOut, Time
from pathline.contracts.detectors import DetectorList, DetectorOut
from pathline.contracts.words import KinHistory, MergeBody, SplitBody, TakeBackBody, WordOut

MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100

CODES: Final[dict[str, str]] = {
    "unauthorized": "No token, and no session of the console.",
    "forbidden": "The session's request carries no valid CSRF token.",
    "not_found": "There is no such address.",
    "method_not_allowed": "The address does not take this method.",
    "customer_not_found": "Nobody is known by that id or name, or nobody owns that thing yet.",
    "alert_not_found": "There is no such alert.",
    "detector_not_found": "No scorer ever ran a detector of that name.",
    "account_not_found": "Nobody is known to belong to an account of that name.",
    "bad_parameter": "A query parameter cannot be used; the message names it.",
    "bad_cursor": "The cursor is not one that an answer gave.",
    "bad_body": "The body is not a JSON object with the fields the call takes.",
    "body_too_large": "The body is larger than any move needs.",
    "bad_until": "`until` is missing, in the past or too far ahead.",
    "bad_reason": "`reason` is not one that an alert can be resolved with.",
    "bad_note": "`text` is missing, empty or too long.",
    "bad_assignee": "`assignee` is empty or too long.",
    "identifier_not_found": "The identifier is not one of this customer's, or nobody was met under it.",
    "bad_identifier": "`identifier` or `to` has no usable kind and value.",
    "act_not_found": "There is no such act about this customer.",
    "missing_reason": "`reason` is missing, empty or longer than 500 characters.",
    "nothing_to_split": "All that this customer has hangs on that identifier.",
    "parent_not_stronger": "An identifier is given to one of a stronger kind only.",
    "merge_needs_stronger": "Both customers are known by the same kind of identifier alone, and it is not user_id.",
    "other_namespace": "The two are of different namespaces, whose people are kept apart.",
    "join_too_large": "More user_ids than one customer may have would be one.",
    "not_in_force": "What the act said does not hold: a later act took its place.",
    "alert_resolved": "The alert is over; it takes only notes.",
    "alert_held": "Somebody else has the alert; `holder` says who.",
    "too_many_streams": "This process serves as many streams as it may.",
    "unavailable": "The database cannot be reached now; try again.",
    "internal": "Something is wrong with Pathline; the log has it.",
}
"""Every stable code of an error, and what it means."""


class Error(msgspec.Struct):
    """Any answer that is not a success. `state` and `holder` come with a 409."""

    code: str
    message: str
    success: Literal[False] = False
    state: str | msgspec.UnsetType | None = msgspec.UNSET
    holder: str | msgspec.UnsetType | None = msgspec.UNSET


RawObject = Annotated[Any, msgspec.Meta(extra_json_schema={"type": "object"})]
"""A JSON object that is passed on as it was sent (a msgspec.Raw)."""


class TouchpointOut(msgspec.Struct):
    """An accepted call. `properties` are as they were sent; of an identify they are its traits."""

    message_id: str
    event: str
    type: str
    channel: str
    occurred_at: Time
    """When it happened, by the sender's clock as the collector corrected it."""
    told_at: Time | None
    """What the sender's own clock said, where that is another time."""
    clamped: bool
    """Whether that was out of bounds, and the time of receipt stands in its place."""
    received_at: Time
    stage: str | None
    moment_of_truth: bool
    privacy_signal: bool
    """Whether the person's browser sent Global Privacy Control."""
    properties: RawObject


class TouchpointPage(msgspec.Struct):
    """Touchpoints, oldest first; `next` is the cursor of the next page, null on the last."""

    items: list[TouchpointOut]
    next: str | None


class AlertOut(msgspec.Struct):
    """One episode of a pain point. `customer_id` is null while nobody owns the thing."""

    id: str
    detector: str
    severity: str
    state: str
    title: str
    ease: str
    customer_id: str | None
    entity: EntityOut
    opened_at: Time
    updated_at: Time
    resolved_at: Time | None
    resolution: str | None
    why: list[str]
    assignee: str | None
    episode: int
    previous_id: str | None
    amount: str | None
    currency: str | None
    snoozed_until: Time | None
    claimed_until: Time | None
    blind: bool
    revision: int
    shadow: bool
    """Whether its detector is on trial, and nobody was told."""
    detector_version: int


class AlertPage(msgspec.Struct):
    """Alerts, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[AlertOut]
    next: str | None


class PainOut(msgspec.Struct):
    """How many alerts of a detector opened in the window."""

    detector: str
    severity: str
    alerts: int


class FigureOut(msgspec.Struct):
    """NPS, CSAT or CES over `n` answers, made as `variant` says and `label` spells out; `few`: too few to go by."""

    survey: str
    variant: str
    label: str
    value: float
    n: int
    few: bool


class ActionDone(msgspec.Struct):
    """A desired action: so many customers of the window did it, and so many of the stage's did not."""

    action: str
    done: int
    open: int


class MomentOut(msgspec.Struct):
    """How many touchpoints were this moment of truth."""

    event: str
    touchpoints: int


class MapStage(msgspec.Struct):
    """A stage in the window. `dropped` of `customers` went no further, `share_on` is the part that did."""

    stage: str
    customers: int
    went_on: int
    share_on: float | None
    median_seconds_to_next: float | None
    dropped: int
    dropped_with_pain: int
    channels: dict[str, int]
    pain: list[PainOut]
    surveys: list[FigureOut]
    """Of answers that were given while the customer's last stage was this one."""
    actions: list[ActionDone]
    """What the stage file wants done there, in its order."""
    moments_of_truth: list[MomentOut]
    """Most first."""


class ShareOut(msgspec.Struct):
    """Of so many `visits` so many were `lost`, the `share` of them; `of` is a day, a landing page or a stage."""

    of: str | None
    visits: int
    lost: int
    share: float | None


class InterestOut(msgspec.Struct):
    """Visits that told how they ended, and those that were over at once and not engaged."""

    visits: int
    lost: int
    share: float | None
    by_day: list[ShareOut]
    by_landing: list[ShareOut]
    """The 20 with most visits."""
    by_stage: list[ShareOut]
    """By the stage that the landing page entered."""


class JourneyMap(msgspec.Struct):
    """The journey map of a window. `complete` is false when only the first `touchpoints` of it were counted."""

    from_: Time = msgspec.field(name="from")
    to: Time
    segment: str | None
    customers: int
    touchpoints: int
    complete: bool
    stages: list[MapStage]
    channels: dict[str, int]
    surveys: list[FigureOut]
    """Of all answers of the window, whatever their stage."""
    answers_left_out: int
    """Answers to other surveys, and scores that their scale does not have."""
    lost_interest: InterestOut


class SourceOut(msgspec.Struct):
    """A sender as it was heard; `silent_since` is null unless it is silent for longer than it ever is."""

    source: str
    heard_since: Time
    heard_at: Time
    longest_silence_seconds: float
    silent_since: Time | None


class SourceList(msgspec.Struct):
    """Everybody who was heard in the last 30 days, by name."""

    items: list[SourceOut]


class AssignBody(msgspec.Struct):
    """Whose it is; null gives it back to everyone."""

    assignee: str | None


class SnoozeBody(msgspec.Struct):
    """RFC 3339 with a zone."""

    until: Time


class ResolveBody(msgspec.Struct):
    """`fixed` or `not_a_problem`."""

    reason: str = "fixed"


class NoteBody(msgspec.Struct):
    """What the next one should know."""

    text: str


class TouchpointEvent(msgspec.Struct):
    """Data of the stream's `touchpoint`: one was stitched. `entities` are ids of things."""

    customer_id: str | None
    message_id: str
    event: str
    channel: str
    occurred_at: Time
    received_at: Time
    stage: str | None


class JourneyEvent(msgspec.Struct):
    """Data of the stream's `journey`: look at this customer again. `moved`: ids that may be theirs or another's now."""

    customer_id: str
    moved: list[str]
    at: Time


class AlertEvent(msgspec.Struct):
    """Data of the stream's `alert`: what changed, by whom, and the alert after it."""

    change: str
    actor: str
    at: Time
    alert: AlertOut


_PUBLISHED: Final[tuple[type, ...]] = (
    Error, Customer, TouchpointPage, AlertOut, AlertPage, JourneyMap, AssignBody, SnoozeBody, ResolveBody, NoteBody,
    TouchpointEvent, JourneyEvent, AlertEvent, KinHistory, WordOut, SplitBody, MergeBody, TakeBackBody, Account,
    DetectorList, DetectorOut, SourceList,
)  # fmt: skip

_REF: Final = "#/components/schemas/{name}"


def components() -> dict[str, Any]:
    """The JSON Schemas of all these types by name, for OpenAPI."""
    _schemas, named = msgspec.json.schema_components(_PUBLISHED, ref_template=_REF)
    named["Error"]["properties"]["code"]["enum"] = list(CODES)
    return dict(named)


def ref(kind: type) -> Mapping[str, Any]:
    """A reference to one of `components`."""
    return {"$ref": _REF.format(name=kind.__name__)}
