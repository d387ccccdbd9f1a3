"""What need not be asked again: detectors that had nothing to say of a thing, until a fact they read is told.

A verdict is read off the state and the time alone, and what time changes by itself a verdict says. So one that does not
hold stands until then, or until one of the facts that it was read off is another. Only for who sees every fact that is
told, as a backtest does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.reads import reads
from pathline.domain.detectors.sources import FIRST_SEEN
from pathline.domain.detectors.view import OFFERED, Story
from pathline.domain.facts import State

Silent = dict[str, datetime | None]
"""Names of detectors that had nothing to say of a thing, with when they may have without being told more."""


class Settled:
    """What is settled about each story that was judged."""

    def __init__(self, detectors: Detectors) -> None:
        """Start with nothing settled."""
        self._reads = {one.name: reads(one) for kind in OFFERED for one in detectors.of("", kind)}
        self._moved_by: dict[frozenset[str], tuple[str, ...]] = {}
        self._news: dict[UUID, set[str]] = {}
        self._stories: dict[UUID, tuple[tuple[UUID, ...], list[Silent]]] = {}

    def tell(self, one: UUID, before: State | None, delta: State) -> None:
        """Hear what a thing or strand was told: `delta` is joined to what was known `before`."""
        news = self._news.get(one)
        if news is None:
            news = self._news[one] = set()
        news.update(delta.facts, delta.marks)
        if before is None or before.first_seen_at != delta.first_seen_at:
            news.add(FIRST_SEEN)

    def of(self, story: Story, now: datetime) -> list[Silent]:
        """What is settled about each view of a story, in their order. What the next judging finds is to be added."""
        ids = story.ids
        told = [news for one in ids if (news := self._news.pop(one, None)) is not None]
        held = self._stories.get(story.id)
        if held is None or held[0] != ids:
            # What is in it was read with it, or without what is gone.
            settled: list[Silent] = [{} for _ in story.views()]
            self._stories[story.id] = ids, settled
            return settled
        moved = self._moved(frozenset[str]().union(*told)) if told else ()
        for silent in held[1]:
            for name in moved:
                silent.pop(name, None)
            for name in [name for name, due in silent.items() if due is not None and due <= now]:
                del silent[name]
        return held[1]

    def _moved(self, news: frozenset[str]) -> Iterable[str]:
        """The detectors that read one of these."""
        found = self._moved_by.get(news)
        if found is None:
            found = self._moved_by[news] = tuple(
                name for name, read in self._reads.items() if read is None or not read.isdisjoint(news)
            )
        return found
