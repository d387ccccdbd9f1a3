"""The console's feed: every change of an alert as a record of the alerts topic, those of one alert in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from pathline.contracts import alert_message
from pathline.kit import kafka
from services.scorer.courier import Delivered, GivenUp, Outcome, Postponed

if TYPE_CHECKING:
    from pathline.storage.outbox import Delivery

SEND_TIMEOUT_SECONDS: Final = 6
"""An idempotent producer never gives a batch up by itself; after this long all is sent anew."""

STOP_TIMEOUT_SECONDS: Final = 3
"""How long a producer may take to end. Nothing is lost with it: what was not acked is still in the outbox."""

AGAIN_SECONDS: Final = 1.0
"""When a record that the broker did not take is sent again."""


class ConsoleFeed:
    """Writes to the alerts topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Nothing is opened before the first delivery."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Send them together; of one alert there is only one among them."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                producer = await self._started()
                sent = [
                    await producer.send(
                        self._topic,
                        alert_message.record(one.notice),
                        key=one.notice.alert.id.bytes,
                        headers=alert_message.headers(one.notice, one.delivery_id),
                    )
                    for one in deliveries
                ]
                acks = await asyncio.gather(*sent, return_exceptions=True)
        except (TimeoutError, KafkaTimeoutError, KafkaConnectionError, OSError) as error:
            # What is left in the producer goes out before the copy that is sent next, so the order holds.
            return [Postponed(AGAIN_SECONDS, type(error).__name__) for _ in deliveries]
        except KafkaError as error:
            acks = [error for _ in deliveries]
        outcomes = [_outcome(ack) for ack in acks]
        if any(isinstance(one, Postponed) for one in outcomes):
            # Some errors of an idempotent producer stick to it (aiokafka 1017).
            await self.close()
        return outcomes

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = kafka.make_producer(self._bootstrap, client_id="pathline-scorer")
            try:
                await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """End the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await producer.stop()


def _outcome(ack: object) -> Outcome:
    if isinstance(ack, MessageSizeTooLargeError):
        return GivenUp(str(ack))
    return Postponed(AGAIN_SECONDS, type(ack).__name__) if isinstance(ack, BaseException) else Delivered()
