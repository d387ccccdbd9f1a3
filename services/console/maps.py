"""The journey map as the API and the page show it: read, counted, and kept for a few seconds."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pathline.contracts import api
from pathline.domain import funnel, interest, surveys
from pathline.domain.funnel import Asked, StageFlow, Step
from pathline.domain.interest import Share
from pathline.storage import map as storage
from services.console.context import Context

KEPT: Final = 32
"""Maps that are kept at a time."""

Key = tuple[datetime, datetime, str | None]


class Maps:
    """Makes maps, one at a time: it is the heaviest thing a console does."""

    def __init__(self) -> None:
        """With none made."""
        self._kept: OrderedDict[Key, tuple[float, api.JourneyMap]] = OrderedDict()
        self._turn = asyncio.Lock()

    async def get(self, context: Context, begin: datetime, end: datetime, segment: str | None) -> api.JourneyMap:
        """The map of touchpoints received in [begin, end), of one segment or of all."""
        key = (begin, end, segment)
        async with self._turn:
            held = self._kept.get(key)
            if held is not None and context.wall_seconds() - held[0] < context.settings.console_map_seconds:
                return held[1]
            made = await _make(context, begin, end, segment)
            self._kept[key] = (context.wall_seconds(), made)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return made


async def _make(context: Context, begin: datetime, end: datetime, segment: str | None) -> api.JourneyMap:
    async with context.database.connection() as db:
        window = await storage.window(db, begin, end, context.stages)
        steps, pains, answers, visits = window.steps, window.pains, window.answers, window.visits
        moments, did = window.moments, window.did
        if segment is not None:
            asked, came = {one.customer for one in answers}, {one.customer for one in visits}
            known = {step.customer for step in steps} | {one.customer for one in did} | asked | came
            told = await storage.segments(db, {one for one in known if one is not None})
            within = {customer for customer, segments in told.items() if segment in segments}
            steps = [step for step in steps if step.customer in within]
            pains = [pain for pain in pains if pain.customer in within]
            answers = [one for one in answers if one.customer in within]
            visits = [one for one in visits if one.customer in within]
            moments = [one for one in moments if one.customer in within]
            did = [one for one in did if one.customer in within]
    flows = funnel.flow(steps, pains, context.stages.names)
    wanted = funnel.acted(steps, did, context.stages.actions)
    met = funnel.moments_by_stage(moments)
    enough = context.settings.console_survey_answers
    said = surveys.voice(one.answer for one in answers)
    return api.JourneyMap(
        from_=begin,
        to=end,
        segment=segment,
        customers=len({step.customer for step in steps}),
        touchpoints=sum(step.touchpoints for step in steps),
        complete=window.complete,
        stages=[
            _stage(
                one,
                [said for said in answers if said.stage == one.stage],
                enough,
                [api.ActionDone(*told) for told in wanted.get(one.stage, ())],
                [api.MomentOut(*told) for told in met.get(one.stage, Counter()).most_common()],
            )
            for one in flows
        ],
        channels=_channels(steps),
        surveys=_figures(said, enough),
        answers_left_out=said.left_out,
        lost_interest=_interest(interest.interest(one.visit for one in visits)),
    )


def _stage(
    one: StageFlow, answers: list[Asked], enough: int, actions: list[api.ActionDone], moments: list[api.MomentOut]
) -> api.MapStage:
    return api.MapStage(
        stage=one.stage,
        customers=one.customers,
        went_on=one.went_on,
        share_on=round(one.went_on / one.customers, 4) if one.customers else None,
        median_seconds_to_next=one.median_seconds,
        dropped=one.dropped,
        dropped_with_pain=one.dropped_with_pain,
        channels=dict(one.channels),
        pain=[api.PainOut(*pain) for pain in one.pains],
        surveys=_figures(surveys.voice(said.answer for said in answers), enough),
        actions=actions,
        moments_of_truth=moments,
    )


def _figures(said: surveys.Voice, enough: int) -> list[api.FigureOut]:
    return [
        api.FigureOut(one.survey, one.variant, surveys.LABELS[one.variant], one.value, one.n, few=one.n < enough)
        for one in said.figures
    ]


def _interest(found: interest.Interest) -> api.InterestOut:
    return api.InterestOut(
        visits=found.all.visits,
        lost=found.all.lost,
        share=_part(found.all),
        by_day=_shares(found.by_day),
        by_landing=_shares(found.by_landing),
        by_stage=_shares(found.by_stage),
    )


def _shares(found: Mapping[Any, Share]) -> list[api.ShareOut]:
    return [api.ShareOut(of, one.visits, one.lost, _part(one)) for of, one in found.items()]


def _part(one: Share) -> float | None:
    return round(one.lost / one.visits, 4) if one.visits else None


def _channels(steps: list[Step]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for step in steps:
        counted[step.channel] = counted.get(step.channel, 0) + step.touchpoints
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
