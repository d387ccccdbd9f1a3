"""Sending hints: after the commit, and again by whoever takes the partition should we die before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aiokafka.errors import KafkaError

from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.kit.producer import LastingProducer

SEND_TIMEOUT_SECONDS: Final = 10
"""An idempotent producer never gives a batch up by itself; after this long the hints are sent anew."""

HINTS_A_RECORD: Final = 500
"""Keeps a record far below the broker's limit of 1 MB: a hint is 300 bytes, 1 KB with many entities."""


class HintPublisher:
    """Sends hints to the journeys topic, those about one subject always to the same partition."""

    def __init__(self, producer: LastingProducer, topic: str) -> None:
        """Send by `producer` to `topic`."""
        self._producer = producer
        self._topic = topic

    async def send(self, hints: Sequence[Hint]) -> None:
        """Send and wait for the broker's ack.

        Raises:
            aiokafka.errors.KafkaError: the broker refuses; the next try is with another producer.
            TimeoutError: no ack in SEND_TIMEOUT_SECONDS; some may have arrived, which is harmless.
        """
        if not hints:
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._send(hints)
        except KafkaError:
            await self._producer.discard()
            raise

    async def _send(self, hints: Sequence[Hint]) -> None:
        producer = await self._producer.started()
        partitions = sorted(await producer.partitions_for(self._topic))
        shares: dict[int, list[Hint]] = {}
        for one in hints:
            shares.setdefault(partitions[one.subject.int % len(partitions)], []).append(one)
        now = datetime.now(UTC)
        acks = [
            await producer.send(self._topic, hint.encode(share[i : i + HINTS_A_RECORD], now), partition=p)
            for p, share in shares.items()
            for i in range(0, len(share), HINTS_A_RECORD)
        ]
        await asyncio.gather(*acks)
