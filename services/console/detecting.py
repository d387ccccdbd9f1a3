"""Detectors with their records, out of what scorers made known and what became of alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pathline.contracts import detector_told
from pathline.contracts.detector_told import Told
from pathline.contracts.detectors import DetectorAct, DetectorFault, DetectorList, DetectorOut, DetectorRecord
from pathline.domain.handling import handled
from pathline.domain.records import Aim, Span, no_answers, records
from pathline.storage import detectors, fences, sweeps
from pathline.storage.detectors import Act, Episode, Known

if TYPE_CHECKING:
    from pathline.storage.connection import Db

RECORD_DAYS: Final = 28
"""Days of which a record is made."""

LISTED_EPISODES: Final = 2_000
"""Episodes of each detector, the newest, that a list's records are made of."""

DAY: Final = timedelta(days=1)


async def overview(db: Db) -> DetectorList:
    """Everything there is, with short records."""
    now = await fences.clock(db)
    known = await detectors.listed(db)
    found = {one.name: await _episodes(db, one.name, now, LISTED_EPISODES) for one in known}
    items = [await _out(db, one, found, now, LISTED_EPISODES, ()) for one in known]
    standing, scorers = await sweeps.standing(db), await sweeps.scorers(db)
    faults = {
        (fault["file"], fault["line"], fault["code"]): DetectorFault(**fault, instance=scorer.instance)
        for scorer in scorers
        for fault in scorer.faults
    }
    return DetectorList(
        items=items,
        faults=list(faults.values()),
        scorers=len(scorers),
        out_of_step=sum(standing is not None and scorer.rules != standing.rules for scorer in scorers),
        judged_share=None if standing is None else standing.share,
    )


async def one(db: Db, name: str) -> DetectorOut | None:
    """One detector with all that is known of it."""
    known = await detectors.get(db, name)
    if known is None:
        return None
    now = await fences.clock(db)
    found = {name: await _episodes(db, name, now, detectors.MAX_EPISODES)}
    warns_of = None if known.told is None else detector_told.read(known.told).warns_of
    if warns_of is not None:
        found[warns_of] = await _episodes(db, warns_of, now, detectors.MAX_EPISODES)
    return await _out(db, known, found, now, detectors.MAX_EPISODES, await detectors.acts(db, name))


async def _episodes(db: Db, name: str, now: datetime, most: int) -> list[Episode]:
    return await detectors.episodes(db, name, now - RECORD_DAYS * DAY, most)


async def _out(
    db: Db, known: Known, found: dict[str, list[Episode]], now: datetime, most: int, acts: Sequence[Act]
) -> DetectorOut:
    told = None if known.told is None else detector_told.read(known.told)
    mine = found[known.name]
    troubles = [] if told is None or told.warns_of is None else found.get(told.warns_of, [])
    return DetectorOut(
        name=known.name,
        mode=known.mode,
        since=known.since,
        actor=known.actor,
        origin=known.origin,
        running=known.running,
        file=known.file,
        title=None if told is None else told.title,
        ease=None if told is None else told.ease,
        advice=None if told is None else told.advice,
        version=None if told is None else told.version,
        entity=[] if told is None else list(told.kinds),
        warns_of=None if told is None else told.warns_of,
        severity=[] if told is None else list(told.steps),
        thresholds={} if told is None else told.thresholds,
        overrides=[] if told is None else list(told.overrides),
        open_in_shadow=await detectors.open_shadows(db, known.name),
        records=_records(known.name, told, mine, troubles, now),
        record_days=RECORD_DAYS,
        record_complete=len(mine) < most,
        history=[DetectorAct(act.at, act.kind, act.actor, act.origin) for act in acts],
    )


def _records(
    name: str, told: Told | None, mine: Sequence[Episode], troubles: Sequence[Episode], now: datetime
) -> list[DetectorRecord]:
    """A record for each version, in shadow and live, newest first. The formulas are those of a backtest."""
    groups: dict[tuple[int, bool], list[Episode]] = defaultdict(list)
    for episode in mine:
        groups[episode.version, episode.shadow].append(episode)
    return [
        _record(name, told, version, shadow=shadow, mine=groups[version, shadow], troubles=troubles, now=now)
        for version, shadow in sorted(groups, key=lambda key: (-key[0], key[1]))
    ]


def _record(
    name: str,
    told: Told | None,
    version: int,
    *,
    shadow: bool,
    mine: Sequence[Episode],
    troubles: Sequence[Episode],
    now: datetime,
) -> DetectorRecord:
    warns_of = None if told is None else told.warns_of
    aims = [Aim(name, version, warns_of, no_answers(None if told is None else told.moved))]
    if warns_of is not None and warns_of != name:
        aims.append(Aim(warns_of))
    days = max(1.0, (now - min(episode.lived.opened_at for episode in mine)) / DAY)
    lived = [episode.lived for episode in (*mine, *troubles)]
    figures = next(one for one in records(aims, lived, Span(days)) if one.detector == name)
    people = handled((episode.lived, episode.assignee) for episode in mine)
    return DetectorRecord(
        version=version,
        shadow=shadow,
        episodes=figures.episodes,
        open=figures.open,
        expired=figures.expired,
        answered=figures.answered,
        came_true=figures.came_true,
        in_vain=figures.in_vain,
        share_right=figures.share_right,
        median_lead_seconds=figures.median_lead_seconds,
        median_seconds=figures.median_seconds,
        acted_on=people.acted_on,
        share_acted_on=people.share_acted_on,
        not_a_problem=people.not_a_problem,
        share_not_a_problem=people.share_not_a_problem,
        resolutions=dict(figures.resolutions),
        days={day.isoformat(): count for day, count in people.days},
    )
