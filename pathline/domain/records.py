"""What became of a detector's episodes: how often it was right, how early, how much work it made.

Live and in a backtest the formulas are these. A detector that `warns_of` another is right where the trouble follows: an
episode of the other one about the same thing or, where the two look at different kinds of things, in the same story. A
trouble belongs to the last warning before it, and each warning to one trouble, so that an old warning is not right
about what came much later. Of a detector that warns of nothing it is asked how often its trouble was answered, and how
soon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Any, Final
from uuid import UUID

import msgspec

from pathline.domain.alerts import REASONS
from pathline.domain.detectors.evaluate import HANDED_OVER
from pathline.domain.detectors.rules import DetectorFile
from pathline.domain.judging import EXPIRED, LATE_EVENT

NO_ANSWERS: Final = frozenset({HANDED_OVER, LATE_EVENT, *REASONS})
"""Resolutions that no fact after the trouble gave: another detector has it, it never was, or a person said so."""


class Aim(msgspec.Struct, frozen=True):
    """What a detector is held to."""

    detector: str
    version: int = 1
    warns_of: str | None = None
    """The detector of the trouble."""
    no_answers: frozenset[str] = NO_ANSWERS
    """Words for the end of an episode that are no answer to it."""


class Lived(msgspec.Struct, frozen=True, gc=False):
    """One episode, as far as a record needs it. `resolution` is None while it lasts."""

    detector: str
    entity_kind: str
    entity_id: UUID
    story_id: UUID
    opened_at: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None


class Span(msgspec.Struct, frozen=True):
    """For how long, and for whom, the episodes are the work."""

    days: float
    agents: int | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A detector's record. A share or a median of nothing is None."""

    detector: str
    version: int
    episodes: int
    open: int
    expired: int
    """Those that only history told of: nobody was told, and they are no part of the other figures."""
    resolutions: tuple[tuple[str, int], ...]
    """How they ended and how many, most first."""
    per_day: float | None
    per_day_and_agent: float | None
    answered: int
    """Those ended by a fact that answers them."""
    share_answered: float | None
    """Of those that ended."""
    median_answer_seconds: float | None
    """From opening to the answer."""
    median_seconds: float | None
    """From opening to the end, however it ended."""
    warns_of: str | None
    came_true: int
    """Warnings that the trouble followed."""
    in_vain: int
    """Warnings that ended without it; what is still open may come true yet, and is neither."""
    share_right: float | None
    """Came true, of those of which it is known."""
    median_lead_seconds: float | None
    """From the warning to the trouble."""
    troubles: int
    """Episodes of the trouble."""
    foreseen: int
    """Troubles that a warning came before."""
    share_foreseen: float | None


def aim_of(file: DetectorFile) -> Aim:
    """What the detector of this file is held to."""
    moved = None if file.deadline is None else file.deadline.moved
    return Aim(file.name, file.version, file.warns_of, no_answers(moved))


def no_answers(moved: str | None) -> frozenset[str]:
    """Words for an end that is no answer, of a detector that says `moved` where its deadline moves on."""
    return NO_ANSWERS if moved is None else NO_ANSWERS | {moved}


def records(aims: Iterable[Aim], lived: Iterable[Lived], span: Span) -> list[Record]:
    """The record of every detector in the order of its name, also of one that found nothing.

    Args:
        aims: one for each detector.
        lived: their episodes in any order; those of a detector without an aim are left out.
        span: the time in which they opened.
    """
    told = {aim.detector: aim for aim in sorted(aims, key=lambda aim: aim.detector)}
    found: dict[str, list[Lived]] = {name: [] for name in told}
    for one in lived:
        if one.detector in found:
            found[one.detector].append(one)
    return [_record(aim, found[name], found.get(aim.warns_of or "", []), span) for name, aim in told.items()]


def _record(aim: Aim, all_mine: Sequence[Lived], all_troubles: Sequence[Lived], span: Span) -> Record:
    mine, troubles = _sent(all_mine), _sent(all_troubles)
    over = [one for one in mine if one.resolution is not None]
    answered = [one for one in over if one.resolution not in aim.no_answers]
    how = Counter(one.resolution for one in over if one.resolution is not None)
    leads, foreseen = _matched(mine, troubles)
    decided = sum(1 for place, one in enumerate(mine) if place in leads or one.resolution is not None)
    decided = decided if aim.warns_of is not None else 0
    per_day = _share(len(mine), span.days)
    return Record(
        detector=aim.detector,
        version=aim.version,
        episodes=len(mine),
        open=len(mine) - len(over),
        expired=len(all_mine) - len(mine),
        resolutions=tuple(sorted(how.items(), key=lambda item: (-item[1], item[0]))),
        per_day=per_day,
        per_day_and_agent=None if per_day is None or span.agents is None else _share(per_day, span.agents),
        answered=len(answered),
        share_answered=_share(len(answered), len(over)),
        median_answer_seconds=_median(_lasted(answered)),
        median_seconds=_median(_lasted(over)),
        warns_of=aim.warns_of,
        came_true=len(leads),
        in_vain=decided - len(leads),
        share_right=_share(len(leads), decided),
        median_lead_seconds=_median(leads.values()),
        troubles=len(troubles),
        foreseen=foreseen,
        share_foreseen=_share(foreseen, len(troubles)),
    )


def _sent(lived: Iterable[Lived]) -> list[Lived]:
    """Oldest first, without what only history told of; those of one instant in an order that is always the same."""
    return sorted((one for one in lived if one.resolution != EXPIRED), key=_order)


def _order(one: Lived) -> tuple[Any, ...]:
    ended = (one.resolved_at is None, one.resolved_at or one.opened_at)
    return one.opened_at, one.entity_id, ended, one.resolution or "", one.story_id, one.entity_kind


def _matched(warnings: Sequence[Lived], troubles: Sequence[Lived]) -> tuple[dict[int, float], int]:
    """By the place of each warning that came true, its seconds of lead; and how many troubles were foreseen."""
    leads: dict[int, float] = {}
    foreseen = 0
    waiting: dict[UUID, int] = {}
    """By what it is about, the warning that nothing followed so far."""
    of_story: dict[UUID, set[UUID]] = {}
    # At one instant the warning comes first.
    told = [(one.opened_at, 0, place) for place, one in enumerate(warnings)]
    told += [(one.opened_at, 1, place) for place, one in enumerate(troubles)]
    for at, is_trouble, place in sorted(told):
        if not is_trouble:
            warning = warnings[place]
            waiting[warning.entity_id] = place
            of_story.setdefault(warning.story_id, set()).add(warning.entity_id)
            continue
        trouble = troubles[place]
        elsewhere = of_story.get(trouble.story_id, set()) - {trouble.entity_id}
        met = [waiting.get(trouble.entity_id)]
        met += [one for one in map(waiting.get, elsewhere) if one is not None and _differ(warnings[one], trouble)]
        for one in met:
            if one is not None:
                leads[one] = (at - warnings[one].opened_at).total_seconds()
                del waiting[warnings[one].entity_id]
        foreseen += met != [None]
    return leads, foreseen


def _differ(warning: Lived, trouble: Lived) -> bool:
    """Whether they are about different kinds of things; two parcels of one order are not each other's trouble."""
    return warning.entity_kind != trouble.entity_kind


def _lasted(episodes: Iterable[Lived]) -> list[float]:
    return [(one.resolved_at - one.opened_at).total_seconds() for one in episodes if one.resolved_at is not None]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return median(listed) if listed else None
