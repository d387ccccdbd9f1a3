"""Judging a customer by the alerts of all that is theirs: what composite alerts there should be.

The scorer runs it against the database, a backtest against memory. The steps, in both:

1. gather a `Troubled` customer: every alert of whatever is under their root, composite ones included;
2. `look` at it by each composite detector;
3. gather who spent the causes of `causes_of`, and `settle` whom each is about;
4. gather the latest episodes of those, and go on with `judging.judge` and `judging.next_due`.

An episode is about the root under which it opened, and stays with that strand: who is merged into another customer
brings it along, who is split off takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.domain.alerts import PATHLINE, Alert, Notice
from pathline.domain.assessing import Assessed
from pathline.domain.detectors.compiled import Detector, Detectors
from pathline.domain.detectors.evaluate import SWITCHED_OFF, Verdict, narrowed
from pathline.domain.detectors.scores import RISK
from pathline.domain.detectors.view import CUSTOMER, Story, Strand, View
from pathline.domain.facts import State
from pathline.domain.identifiers import Identifier
from pathline.domain.journey_risk import troubles, verdict
from pathline.domain.judging import Change
from pathline.domain.moments import Moment

MERGED: Final = "merged"
"""What an alert is resolved as whose customer has an older one, since two turned out to be one."""

_UTC: Final = ZoneInfo("UTC")
"""No composite asks for working days."""

_NOTHING: Final = State()


class Troubled(msgspec.Struct, frozen=True):
    """A customer, and every alert of theirs."""

    root: UUID
    name: Identifier
    """Of the root."""
    alerts: Sequence[Alert]


class Looked(msgspec.Struct, frozen=True):
    """What a composite detector says of a customer."""

    customer: Troubled
    detector: Detector
    verdict: Verdict
    own: tuple[Alert, ...]
    """Its alerts of them that last, the oldest first: the one that stays."""


def composites(detectors: Detectors) -> frozenset[str]:
    """Names of the detectors that are told by alerts."""
    return frozenset(name for name, file in detectors.files.items() if file.risk is not None)


def look(detectors: Detectors, customer: Troubled, when: Moment) -> list[Looked]:
    """Ask each composite detector of the customer's namespace."""
    names, looked = composites(detectors), []
    for detector in detectors.of(customer.name.namespace, RISK):
        own = sorted(
            (one for one in customer.alerts if one.detector == detector.name and one.alive),
            key=lambda one: (one.opened_at, one.id),
        )
        assert detector.risk is not None
        # What has fired stays due, even if another clock steps back.
        now = max(when.now, *(one.opened_at for one in own)) if own else when.now
        said = verdict(troubles(customer.alerts, names), detector.risk, now) if detector.runs else SWITCHED_OFF
        if own or said.holding:
            looked.append(Looked(customer, detector, said, tuple(own)))
    return looked


def causes_of(looked: Iterable[Looked]) -> set[tuple[str, str]]:
    """The (detector, cause) of all that holds."""
    return {(one.detector.name, cause.key) for one in looked for cause in one.verdict.causes}


def settle(looked: Iterable[Looked], spent: Mapping[tuple[str, str], Alert], when: Moment) -> list[Assessed]:
    """What is to be judged: whom each is about, by the causes that are this customer's to tell.

    A cause that was spent by an alert of somebody who was split off is theirs.
    """
    return [_settled(one, spent, when) for one in looked]


def _settled(one: Looked, spent: Mapping[tuple[str, str], Alert], when: Moment) -> Assessed:
    name, customer = one.detector.name, one.customer
    theirs = {alert.id for alert in customer.alerts}
    owners = {cause.key: owner for cause in one.verdict.causes if (owner := spent.get((name, cause.key))) is not None}
    mine = [owner for owner in owners.values() if owner.id in theirs]
    last = max(mine, key=lambda owner: (owner.opened_at, owner.id), default=None)
    about = one.own[0].entity_id if one.own else customer.root if last is None else last.entity_id
    view = _view(customer, about)
    causes = tuple(c for c in one.verdict.causes if c.key not in owners or owners[c.key].id in theirs)
    return Assessed(one.detector, view, narrowed(one.detector, view, one.verdict, causes, when.now), when.now)


def merge(looked: Iterable[Looked], when: Moment) -> list[tuple[Change, Alert]]:
    """The ends of alerts that are one too many, each with the alert that stays, whose its causes are from now on."""
    ended = []
    for one in looked:
        for other in one.own[1:]:
            alert = msgspec.structs.replace(
                other, state="resolved", resolution=MERGED, resolved_at=when.clock, updated_at=when.clock,
                revision=other.revision + 1, snoozed_until=None, claimed_until=None, story_id=one.customer.root,
            )  # fmt: skip
            notice = Notice("resolved", PATHLINE, when.clock, alert, {"resolution": MERGED})
            ended.append((Change(alert, notice), one.own[0]))
    return ended


def _view(customer: Troubled, about: UUID) -> View:
    story = Story(customer.root, (), _UTC, strand=Strand(customer.name, _NOTHING))
    return View(story, Identifier(customer.name.namespace, CUSTOMER, str(about)), about, _NOTHING)
