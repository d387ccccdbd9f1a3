"""The scorer's transaction: fence, watch rows, state, alerts, causes, outbox, next wake-up. All of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pathline.contracts.hint import Hint
from pathline.domain import alerts, assessing, judging
from pathline.domain.assessing import Assessed, Episode, Stumble
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.owners import RELATION_EVENTS
from pathline.domain.detectors.view import CUSTOMER_EVENTS, PERSON_EVENTS, Story
from pathline.domain.judging import Change, Memory
from pathline.domain.moments import Moment, moment
from pathline.kit.logging import get_logger
from pathline.storage import detectors as states
from pathline.storage import fences, judgements, looks, stories, watch
from pathline.storage.fences import Advance

if TYPE_CHECKING:
    from pathline.domain.alerts import Alert
    from pathline.storage.connection import Db

log = get_logger(__name__)

AGAIN_AFTER: Final = timedelta(minutes=5)
"""When a story that a detector stumbled over is tried again."""


RELOOK_AFTER: Final = timedelta(seconds=5)
"""When a story is looked at once more that a hint had judged by what its customer did elsewhere."""


class Judged(msgspec.Struct):
    """What a transaction did."""

    changes: list[Change] = []
    keys: set[UUID] = set()
    """The stories that were judged."""
    elsewhere: set[UUID] = set()
    """Orders that stories asked for turned out to be part of; to be judged in a transaction of their own."""
    alerted: set[UUID] = set()
    """What there is an alert of that lasted before."""
    failed: int = 0
    guard_errors: Counter[str] = msgspec.field(default_factory=Counter)
    """By detector: how often a guard could not be worked out."""
    taken: int = 0
    """Of `due`: how many deadlines had passed, those of stories that are part of another one by now included."""
    cut: bool = False
    """True when a customer had more stories than are judged at a time, and some were left out."""
    received: dict[UUID, datetime] = {}
    """For stories that hints asked for: when the first touchpoint of those was received."""


class TooManyNeighboursError(Exception):
    """The customers of these hints have more stories elsewhere than are judged at a time: ask for each hint's alone."""


class Judge:
    """Judges stories inside a transaction that somebody else opens."""

    def __init__(
        self, detectors: Detectors, zone: ZoneInfo, touchpoints: str, blind_after: timedelta, neighbours: int
    ) -> None:
        """Judge by these `detectors`.

        Args:
            detectors: all of them.
            zone: meant where an order does not say where it goes.
            touchpoints: the topic whose readers a deadline waits for.
            blind_after: how long it waits.
            neighbours: stories judged at a time because of what their customers did elsewhere, at most.
        """
        self.detectors = detectors
        """May be replaced at any time: what is judged after its lock is taken is judged by those of then."""
        self._zone = zone
        self._touchpoints = touchpoints
        self._blind_after = blind_after
        self._neighbours = neighbours

    async def hints(
        self, db: Db, topic: str, hints: Sequence[Hint], moves: Sequence[Advance], *, alone: bool = False
    ) -> Judged:
        """Judge what hints point at, and move the partitions on.

        Args:
            db: inside the transaction.
            topic: whose partitions.
            hints: what they say.
            moves: how they move on.
            alone: leave out what their customers have elsewhere; it was judged before, by `elsewhere`.

        Raises:
            FenceLostError: a partition is no longer ours.
            TooManyNeighboursError: there is too much to be judged at a time.
            asyncpg.UniqueViolationError: a peer alerted the same meanwhile; roll back, and judge again.
        """
        await fences.lock(db, topic, moves)
        wanted = things_of(hints)
        around = set() if alone else await self._around(db, hints)
        if len(around) >= self._neighbours:
            raise TooManyNeighboursError
        keys = await stories.keys_of(db, wanted.keys() | around)
        judged = await self._lock_and_judge(db, set(keys.values()), relook=True) if keys else Judged()
        await self._ask_risks(db, hints, judged)
        for one, at in wanted.items():
            held = judged.received.get(keys[one])
            judged.received[keys[one]] = at if held is None else min(held, at)
        await fences.advance(db, topic, moves)
        return judged

    async def elsewhere(self, db: Db, hint: Hint) -> Judged:
        """Judge what the customers of one hint have elsewhere, as much of it as is judged at a time."""
        around = await self._around(db, [hint])
        keys = await self._keys_elsewhere(db, hint, around)
        judged = await self._lock_and_judge(db, keys, relook=True) if keys else Judged()
        judged.cut = len(around) >= self._neighbours
        await self._ask_risks(db, [hint], judged)
        return judged

    @staticmethod
    async def _ask_risks(db: Db, hints: Iterable[Hint], judged: Judged) -> None:
        """Whose alerts these are may be others by now: their customers' alerts may add up, or no more."""
        if judged.alerted and any(hint.moved or hint.reowned for hint in hints):
            await looks.ask(db, judged.alerted)

    async def elsewhere_keys(self, db: Db, hint: Hint) -> set[UUID]:
        """Which stories `elsewhere` would judge now."""
        return await self._keys_elsewhere(db, hint, await self._around(db, [hint]))

    @staticmethod
    async def _keys_elsewhere(db: Db, hint: Hint, around: set[UUID]) -> set[UUID]:
        """The stories of these, without those of the hint itself."""
        own = things_of([hint])
        keys = await stories.keys_of(db, around | own.keys())
        return {keys[one] for one in around} - {keys[one] for one in own}

    async def due(self, db: Db, limit: int) -> Judged:
        """Judge up to `limit` stories whose deadline has passed, those that no peer is judging."""
        keys = await self.due_keys(db, limit)
        judged = await self._judge(db, keys, {}, relook=False) if keys else Judged()
        judged.taken = len(keys)
        return judged

    async def due_keys(self, db: Db, limit: int) -> list[UUID]:
        """Which stories `due` would judge now."""
        return await watch.take_due(db, (await self._moment(db)).now, limit)

    async def stories(self, db: Db, keys: Collection[UUID], *, relook: bool = False) -> Judged:
        """Judge these stories; `relook` where it is because of a hint, and not because of the time."""
        return await self._lock_and_judge(db, keys, relook=relook)

    async def withdraw(self, db: Db, orphans: Sequence[tuple[UUID, UUID]]) -> Judged:
        """End these alerts (with the story of each), whose detectors nobody runs."""
        await watch.lock(db, {story for _, story in orphans})
        clock = await fences.clock(db)
        found = await states.locked(db, [alert for alert, _ in orphans])
        notices = [alerts.withdraw(alert, clock) for alert in found]
        judged = Judged([Change(notice.alert, notice) for notice in notices])
        await judgements.keep(db, judged.changes)
        return judged

    async def _moment(self, db: Db) -> Moment:
        clock, through = await judgements.clocks(db, self._touchpoints)
        return moment(clock, through, self._blind_after)

    async def _around(self, db: Db, hints: Iterable[Hint]) -> set[UUID]:
        """Other stories of customers who did something that answers, or who are others now."""
        people: set[UUID] = set()
        things: set[UUID] = set()
        who = False
        for hint in hints:
            people.update(hint.moved, hint.reowned)
            things.update(hint.reowned)
            other = hint.event in RELATION_EVENTS
            # A thing that is new has an owner now, but left nobody.
            who = who or other or bool(hint.moved) or not set(hint.entities).issuperset(hint.reowned)
            if other or hint.event in CUSTOMER_EVENTS:
                things.update(hint.entities)
                if hint.subject not in hint.entities:
                    people.add(hint.subject)
        if not people and not things:
            return set()
        # Of other segments a customer may have other deadlines, or be whom a guard is about.
        which: stories.Which = "alerted" if not who else "all" if self.detectors.ask_who else "waiting"
        return set(await stories.neighbours(db, people, things, self._neighbours, which=which))

    async def _lock_and_judge(self, db: Db, keys: Collection[UUID], *, relook: bool) -> Judged:
        held = await watch.lock(db, keys)
        return await self._judge(db, keys, held, relook=relook)

    async def _judge(
        self, db: Db, keys: Collection[UUID], held: Mapping[UUID, datetime | None], *, relook: bool
    ) -> Judged:
        """Judge these locked stories; `held`: when each is due, as far as that is known."""
        # After the lock, which may take a while to get, and before the reading: what was told by then is in it.
        when = await self._moment(db)
        gathered = await stories.gather(db, keys, self._zone)
        told = gathered.stories
        # By the keys, too: of a person who is only named there is no state, but may be an alert of what adds up.
        alive = await judgements.alive(db, {*gathered.ids, *keys})
        judged = Judged(
            keys=set(told), alerted={one for _, one in alive}, elsewhere=set(gathered.elsewhere.values()) - set(keys)
        )
        due: dict[UUID, datetime | None] = dict.fromkeys(keys)
        detectors = self.detectors
        assessed = self._assess(detectors, told.values(), when, alive, judged, due)
        asked = await self._ask_owners(db, detectors, assessed, when, alive, judged, due)
        if relook:
            # What its customer does while we judge has a hint of its own, but whoever has that one does not see a story
            # that is not committed yet, and passes it over. A lock would have to be on the customer, who may become
            # another one meanwhile. So the story is looked at once more, by the waker, which asks for no third look.
            due.update(dict.fromkeys(asked, when.clock + RELOOK_AFTER))
        every = [one for listed in assessed.values() for one in listed]
        causes = judging.causes_of(every)
        memory = await self._remember(db, every, causes, alive) if causes else Memory(alive)
        # Without a cause and an alert there is no episode that could be a shadow: mostly nobody has to be asked.
        on_trial: Container[str] = await states.on_trial(db) if causes or alive else ()
        for key, listed in assessed.items():
            changes = judging.judge(listed, memory, when, on_trial)
            judged.changes += changes
            wakes = (self._next_due(key, judging.next_due(listed, memory, changes), when), due[key])
            due[key] = min((at for at in wakes if at is not None), default=None)
        if judged.changes:
            await judgements.keep(db, judged.changes)
        others = {key: at for key, at in due.items() if key not in held or held[key] != at}
        if others:
            await watch.schedule(db, others)
        return judged

    @staticmethod
    def _next_due(key: UUID, due: datetime | None, when: Moment) -> datetime | None:
        """When to judge a story unasked. A deadline that judging did not end must not keep the waker from the rest."""
        if due is None or due > when.now:
            return due
        log.error("a story is still due after it was judged", story=str(key), due=due.isoformat())
        return when.clock + AGAIN_AFTER

    @staticmethod
    def _assess(
        detectors: Detectors,
        told: Iterable[Story],
        when: Moment,
        alive: Mapping[Episode, Alert],
        judged: Judged,
        due: dict[UUID, datetime | None],
    ) -> dict[UUID, list[Assessed]]:
        """Assess each story. A detector that stumbles over one is asked again later, and holds up nothing else."""
        assessed: dict[UUID, list[Assessed]] = {}

        def guard_error(detector: str) -> None:
            judged.guard_errors[detector] += 1

        def stumble(one: Stumble) -> None:
            story = one.view.story.id
            log.error("a detector stumbled", story=str(story), detector=one.detector, exc_info=one.error)
            judged.failed += 1
            due[story] = when.clock + AGAIN_AFTER

        for story in told:
            try:
                assessed[story.id] = assessing.assess(
                    detectors, story, when.now, alive, on_stumble=stumble, on_guard_error=guard_error
                )
            except Exception:
                log.exception("a story could not be judged", story=str(story.id))
                judged.failed += 1
                due[story.id] = when.clock + AGAIN_AFTER
        return assessed

    async def _ask_owners(
        self,
        db: Db,
        detectors: Detectors,
        assessed: dict[UUID, list[Assessed]],
        when: Moment,
        alive: Mapping[Episode, Alert],
        judged: Judged,
        due: dict[UUID, datetime | None],
    ) -> set[UUID]:
        """Look up the customers of what asks for them, and assess that again; returns the stories it was."""
        unknown = {key: assessing.unknown_owners(listed, alive) for key, listed in assessed.items()}
        ids = {one for asked in unknown.values() for one in asked}
        if not ids:
            return set()
        customers = await stories.customers_of(db, ids)
        again = [listed[0].view.story.knowing(customers) for key, listed in assessed.items() if unknown[key]]
        for story in again:
            del assessed[story.id]
        assessed.update(self._assess(detectors, again, when, alive, judged, due))
        return {story.id for story in again}

    @staticmethod
    async def _remember(
        db: Db, assessed: Sequence[Assessed], causes: Collection[tuple[str, str]], alive: Mapping[Episode, Alert]
    ) -> Memory:
        new = {one.view.id for one in assessed if one.verdict.holding and one.episode not in alive}
        latest = await judgements.latest(db, new) if new else {}
        return Memory(alive, await judgements.spent(db, causes), latest)


def things_of(hints: Iterable[Hint]) -> dict[UUID, datetime]:
    """The things and persons that hints point at, and when the first of their touchpoints was received."""
    wanted: dict[UUID, datetime] = {}
    for hint in hints:
        # A survey that names a parcel, say, is the person's all the same.
        subject = (hint.subject,) if hint.event in PERSON_EVENTS else ()
        for one in (*hint.entities, *hint.reowned, *subject):
            if wanted.setdefault(one, hint.received_at) > hint.received_at:
                wanted[one] = hint.received_at
    return wanted


def points_at_nothing(hint: Hint) -> bool:
    """Whether there is nothing in `things_of` it."""
    return not hint.entities and not hint.reowned and hint.event not in PERSON_EVENTS
