"""A producer that lasts: started when it is first needed, and made anew after an error that sticks to one.

Some errors of aiokafka's idempotent producer (OutOfOrderSequenceNumber after a broker was killed, its issue
1017) come back at every send until a new producer is made.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pathline.kit import kafka

STOP_TIMEOUT_SECONDS: Final = 3
"""How long a producer may take to end. Its owner sends again what was not acked, so nothing is lost with it."""


class LastingProducer:
    """Gives a started producer, the same until `discard` is called."""

    def __init__(self, bootstrap: str, *, client_id: str, **more: Any) -> None:
        """Nothing is opened before it is first asked for; `more` goes to the producer."""
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._more = more
        self._producer: AIOKafkaProducer | None = None

    async def started(self) -> AIOKafkaProducer:
        """The producer. Raises KafkaError or OSError while Kafka is away."""
        if self._producer is None:
            producer = kafka.make_producer(self._bootstrap, client_id=self._client_id, **self._more)
            try:
                await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def discard(self) -> None:
        """End the producer; the next one asked for is another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await producer.stop()
