"""A customer as pages show one: gathered from storage, once, for a whole page."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from pathline.contracts import api
from pathline.contracts.customer import Customer
from pathline.domain.alerts import ALIVE, Alert
from pathline.domain.composing import composites
from pathline.storage import accounts, acts, alerts, customers, fences, touchpoints
from pathline.storage.customers import Whole
from pathline.storage.touchpoints import Stored
from services.console import cursors, shapes
from services.console.context import Context
from services.console.cursors import Place
from services.console.pages.listing import Row, rows_of
from services.console.pages.timeline import Timeline, draw

if TYPE_CHECKING:
    from pathline.storage.connection import Db

PAGE_TOUCHPOINTS: Final = 50
"""Touchpoints of one page of the list, and of the timeline."""
MAX_ALIVE: Final = 20
"""Open alerts that a customer's page lists."""
MAX_PAST: Final = 50
"""Alerts of the past that are marked on the timeline."""


class StageStep(msgspec.Struct, frozen=True):
    """A stage of the track: when it was first entered, if it was, and whether the customer is in it now."""

    name: str
    entered_at: datetime | None
    current: bool
    actions: list[tuple[str, datetime | None]] = []
    """What is wanted there, and when it was last done; of several purchases, by all of them."""
    last_at: datetime | None = None
    """When the person last did something there, if more than to enter it."""


class Page(msgspec.Struct, frozen=True):
    """A page of touchpoints, newest first; `next` is the cursor of the older ones."""

    rows: list[Stored]
    next: str | None


class Journey(msgspec.Struct, frozen=True):
    """Everything on a customer's page."""

    whole: Whole
    customer: Customer
    stages: list[StageStep]
    open: list[Row]
    touchpoints: Page
    timeline: Timeline | None
    now: datetime

    @property
    def waiting_since(self) -> datetime | None:
        """Since when the customer waits for an answer in any case."""
        return min((case.waiting_since for case in self.customer.cases if case.waiting_since), default=None)


async def journey(db: Db, context: Context, root: UUID) -> Journey:
    """Read a customer's page."""
    whole = await customers.whole(db, root)
    now = await fences.clock(db)
    about = await alerts.list_alerts(db, subjects=whole.alertable, limit=MAX_PAST)
    alive = await alerts.list_alerts(db, state=sorted(ALIVE), subjects=whole.alertable, limit=api.MAX_LIMIT)
    told = await older(db, whole, None)
    lived = await acts.lived(db, whole.strands, whole.first_act_at)
    belongs = await accounts.of(db, whole.family.people)
    out = shapes.customer(
        whole, alive, context.stages, context.zone, now, lived, belongs,
        composites(context.detectors),
    )  # fmt: skip
    return Journey(
        whole, out, track(out, context.stages.names), await rows_of(db, alive[:MAX_ALIVE]), told,
        draw(told.rows, _marked(about, alive)), now,
    )  # fmt: skip


async def older(db: Db, whole: Whole, before: Place | None) -> Page:
    """The page of touchpoints before a place; None for the newest."""
    found = await touchpoints.newest(db, whole.subjects, before, PAGE_TOUCHPOINTS + 1)
    items = found[:PAGE_TOUCHPOINTS]
    return Page(items, cursors.to_text(items[-1].cursor) if len(found) > PAGE_TOUCHPOINTS else None)


def track(customer: Customer, order: tuple[str, ...]) -> list[StageStep]:
    """The stages in their order.

    Current are those that their purchases are in, which may be several; without a purchase, where the person is.
    """
    entered: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for stage in customer.stages:
        entered[stage.stage] = min(entered.get(stage.stage, stage.entered_at), stage.entered_at)
        if stage.last_touch is not None and stage.last_touch.message_id != stage.message_id:
            last[stage.stage] = max(last.get(stage.stage, stage.last_touch.at), stage.last_touch.at)
    standing = [stage for stage in customer.stages if stage.left_at is None]
    current = {stage.stage for stage in standing if stage.entity is not None} or {stage.stage for stage in standing}
    return [
        StageStep(name, entered.get(name), name in current, _wanted(customer, name), last.get(name)) for name in order
    ]


def _wanted(customer: Customer, stage: str) -> list[tuple[str, datetime | None]]:
    """The actions of a stage. One that any purchase still lacks is not done."""
    done: dict[str, list[datetime | None]] = {}
    for one in customer.actions:
        if one.stage == stage:
            done.setdefault(one.action, []).append(one.done_at)
    return [(action, max(t for t in at if t) if all(at) else None) for action, at in done.items()]


def _marked(about: list[Alert], alive: list[Alert]) -> list[Alert]:
    return list({alert.id: alert for alert in (*about, *alive)}.values())
