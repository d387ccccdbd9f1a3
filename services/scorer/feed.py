"""The console's feed: every change of an alert as a record of the alerts topic, those of one alert in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from pathline.contracts import alert_message
from pathline.kit.producer import LastingProducer
from services.scorer.courier import Delivered, GivenUp, Outcome, Postponed

if TYPE_CHECKING:
    from pathline.storage.outbox import Delivery

SEND_TIMEOUT_SECONDS: Final = 6
"""An idempotent producer never gives a batch up by itself; after this long all is sent anew."""

AGAIN_SECONDS: Final = 1.0
"""When a record that the broker did not take is sent again."""


class ConsoleFeed:
    """Writes to the alerts topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Nothing is opened before the first delivery."""
        self._topic = topic
        self._producer = LastingProducer(bootstrap, client_id="pathline-scorer")

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Send them together; of one alert there is only one among them."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                producer = await self._producer.started()
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
            await self._producer.discard()
        return outcomes

    async def close(self) -> None:
        """End the producer."""
        await self._producer.discard()


def _outcome(ack: object) -> Outcome:
    if isinstance(ack, MessageSizeTooLargeError):
        return GivenUp(str(ack))
    return Postponed(AGAIN_SECONDS, type(ack).__name__) if isinstance(ack, BaseException) else Delivered()
