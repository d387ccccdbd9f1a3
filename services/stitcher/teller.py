"""Tells the topic of dead letters what the table has: whatever its size, and with none in the way of the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pathline.contracts.letters import Letter, encode, headers_from_json
from pathline.kit.kafka import MEBIBYTE
from pathline.kit.logging import get_logger
from pathline.kit.producer import LastingProducer
from pathline.storage import letters
from pathline.storage.letters import Row

if TYPE_CHECKING:
    import asyncpg

log = get_logger(__name__)

TOLD_AT_ONCE: Final = 100

TELL_SECONDS: Final = 5
"""An idempotent producer never gives a record up by itself; after this long the rows are let go and told again.

Below the time after which PostgreSQL ends a transaction that waits for something else.
"""

REQUEST_BYTES_MAX: Final = 16 * MEBIBYTE
"""More than a topic takes unless it is told to: the topic, and not the producer, says what is too large."""

CUT_BYTES: Final = 64 * 1_024
"""Bytes that are told of a row which the topic does not take whole: its reason makes it larger than it was."""


class Teller:
    """Tells the topic of rows."""

    def __init__(self, pool: asyncpg.Pool[Any], bootstrap: str, topic: str) -> None:
        """Tell `topic`; nothing is opened before there is something to tell."""
        self._pool = pool
        self._topic = topic
        self._producer = LastingProducer(bootstrap, client_id="pathline-letters", max_request_size=REQUEST_BYTES_MAX)
        self._most = TOLD_AT_ONCE

    async def tell(self) -> int:
        """Tell of the rows that wait, the oldest first, and note that it was done; how many.

        Whoever dies in between leaves rows that are told again. The rows are locked, so that two stitchers share them.

        Raises:
            KafkaError, TimeoutError: Kafka does not take them.
            asyncpg.PostgresError, OSError: the database does not answer.
        """
        async with self._pool.acquire() as db, db.transaction():
            rows = await letters.untold(db, self._most)
            if not rows:
                return 0
            try:
                sent = await self._send(rows)
            except (KafkaError, TimeoutError):
                # Perhaps they were too much for the time that they have.
                self._most = max(1, self._most // 2)
                raise
            self._most = min(TOLD_AT_ONCE, self._most * 2)
            await letters.told(db, [row.id for row in sent])
        return len(sent)

    async def _send(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Send these; those that were sent, which are some at least."""
        try:
            await self._put(rows, [_letter(row) for row in rows])
        except MessageSizeTooLargeError:
            # Kafka refuses the whole batch in which one of them lies, and does not say which.
            return await self._send_singly(rows)
        return rows

    async def _send_singly(self, rows: Sequence[Row]) -> Sequence[Row]:
        until = time.monotonic() + TELL_SECONDS
        for number, row in enumerate(rows, 1):
            await self._send_cut(row)
            if time.monotonic() >= until:
                return rows[:number]
        return rows

    async def _send_cut(self, row: Row) -> None:
        """Send one, and as much of it as the topic takes. The table has it whole."""
        whole = _letter(row)
        for letter in (whole, _cut(whole, CUT_BYTES)):
            try:
                return await self._put([row], [letter])
            except MessageSizeTooLargeError:
                log.warning("a dead letter is too large for the topic; it is cut there", id=row.id)
        # A topic that does not take this takes nothing.
        return await self._put([row], [msgspec.structs.replace(_cut(whole, 0), key=None, headers=())])

    async def _put(self, rows: Sequence[Row], told: Sequence[Letter]) -> None:
        try:
            async with asyncio.timeout(TELL_SECONDS):
                producer = await self._producer.started()
                acks = [
                    await producer.send(
                        self._topic,
                        letter.value,
                        key=letter.key,
                        headers=encode(letter),
                        # By its own age the topic forgets it, however late it was told.
                        timestamp_ms=int(row.created_at.timestamp() * 1_000),
                    )
                    for row, letter in zip(rows, told, strict=True)
                ]
                await asyncio.gather(*acks)
        except (KafkaError, TimeoutError):
            # Also where one was too large: the numbers of an idempotent producer have a gap then.
            await self._producer.discard()
            raise

    async def close(self) -> None:
        """End the producer."""
        await self._producer.discard()


def _cut(letter: Letter, most: int) -> Letter:
    value = letter.value or b""
    return msgspec.structs.replace(letter, value=value[:most], size=letter.size or len(value))


def _letter(row: Row) -> Letter:
    return Letter(
        stage=row.stage,
        code=row.code,
        message=row.message,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        source=row.source,
        namespace=row.namespace,
        received_at=row.received_at,
        size=row.size,
        key=row.key,
        value=row.value,
        headers=headers_from_json(row.headers),
    )
