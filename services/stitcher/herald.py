"""Tells the journeys topic of what operators said: after their commit, whoever made it, and again after a crash.

The console and the command line write rows and no records, so that a word is said in one transaction and cannot be
said by half. Each stitcher looks for rows that nobody told of. Two may tell of the same one, which is harmless.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

from pathline.consuming.patience import pause
from pathline.contracts.hint import Hint
from pathline.domain.identifiers import touchpoint_id
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.logging import get_logger
from pathline.kit.producer import LastingProducer
from pathline.storage import words
from pathline.storage.words import Act
from services.stitcher.hints import HintPublisher

if TYPE_CHECKING:
    import asyncpg

    from services.stitcher.metrics import StitcherMetrics

log = get_logger(__name__)

TOLD_AT_ONCE: Final = 100
TELL_EVERY_SECONDS: Final = 0.5
"""How long an act waits to be told."""

AGAIN_SECONDS: Final = 2.0
"""When it is tried again after it failed."""

SOURCE: Final = "operator"
"""Stands in a hint where a touchpoint has its source."""

EVENTS: Final = {"split": "Customer Split", "merge": "Customers Merged", "take_back": "Word Taken Back"}


def hint_of(act: Act) -> Hint:
    """The hint of an act: these may be other customers now. It is of no touchpoint."""
    message_id = f"act-{act.id}"
    return Hint(
        subject=act.subject,
        id=touchpoint_id(SOURCE, message_id),
        message_id=message_id,
        event=EVENTS[act.kind],
        channel=SOURCE,
        occurred_at=act.at,
        received_at=act.at,
        moved=list(act.moved),
        word=True,
    )


class Herald:
    """Tells until it is stopped. Whatever goes wrong is said, counted, and tried again; stitching does not wait."""

    def __init__(
        self, pool: asyncpg.Pool[Any], bootstrap: str, topic: str, metrics: StitcherMetrics, stop: asyncio.Event
    ) -> None:
        """Tell `topic` until `stop`. Its producer is its own, and opened when there is something to tell."""
        self._pool = pool
        self._producer = LastingProducer(bootstrap, client_id="pathline-herald")
        self._publisher = HintPublisher(self._producer, topic)
        self._metrics = metrics
        self._stop = stop

    async def run(self) -> None:
        """Live until `stop`."""
        try:
            while not self._stop.is_set():
                await pause(self._stop, await self._attempt())
        finally:
            await self._producer.discard()

    async def tell(self) -> int:
        """Tell of the acts that wait, the oldest first, and note that it was done; how many.

        No transaction is open while Kafka is waited for. Who dies in between leaves acts that are told again.

        Raises:
            KafkaError, TimeoutError: Kafka does not take them.
            asyncpg.PostgresError, OSError: the database does not answer.
        """
        async with self._pool.acquire() as db:
            acts = await words.untold(db, TOLD_AT_ONCE)
        if not acts:
            self._metrics.acts_waiting.set(0)
            return 0
        self._metrics.acts_waiting.set(len(acts))
        await self._publisher.send([hint_of(act) for act in acts])
        async with self._pool.acquire() as db:
            await words.told(db, [act.id for act in acts])
        self._metrics.acts_waiting.set(0)
        return len(acts)

    async def _attempt(self) -> float:
        """Seconds until the next."""
        try:
            told = await self.tell()
        except (KafkaError, *DATABASE_ERRORS) as error:
            self._metrics.acts.labels("failed").inc()
            log.warning("operators' words wait to be told", error=type(error).__name__)
            return AGAIN_SECONDS
        except Exception:
            # A fault of ours must not end the stitcher with it.
            self._metrics.acts.labels("failed").inc()
            log.exception("operators' words wait to be told")
            return AGAIN_SECONDS
        self._metrics.acts.labels("told").inc(told)
        return 0 if told == TOLD_AT_ONCE else TELL_EVERY_SECONDS
