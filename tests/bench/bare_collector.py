"""The least program that could be a collector: the baseline that `services/ingest` is held against.

Raw ASGI on uvicorn, uvloop and httptools; a typed msgspec decode of what is needed for the key; group commit by
partition with one group in flight; an answer only after the broker's ack of an idempotent producer with acks=all. The
key is hashed as Java clients hash it. It checks no key, no limit, no clock, no vocabulary, and measures nothing.

    python -m tests.bench.bare_collector KAFKA TOPIC PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from murmurhash2 import murmurhash2

from pathline.kit import lifecycle

JAVA_SEED: Final = 0x9747B28C
GROUP_BYTES: Final = 900_000
"""Most bytes of a group: under the broker's limit of 1 MB a request."""

OK: Final = b'{"success":true}'
START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"16")],
}
DONE: Final = {"type": "http.response.body", "body": OK}

Headers = list[tuple[str, bytes]]


class Call(msgspec.Struct, rename="camel", gc=False):
    """What is needed of a call."""

    user_id: str | None = None
    anonymous_id: str | None = None
    message_id: str | None = None


class Calls(msgspec.Struct, gc=False):
    """The body of a batch, its calls left as they were sent."""

    batch: list[msgspec.Raw]


_call: Final = msgspec.json.Decoder(Call)
_calls: Final = msgspec.json.Decoder(Calls)


class Lane:
    """One partition: a group in flight, and the groups that wait for its ack."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._waiting: deque[tuple[Any, asyncio.Future[None]]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    def add(self, key: bytes, value: bytes, headers: Headers) -> asyncio.Future[None]:
        """Put a record in the last group that waits; the future is done when the broker has it."""
        if self._waiting:
            group, stored = self._waiting[-1]
            if group.append(timestamp=None, key=key, value=value, headers=headers) is not None:
                return stored
        group, stored = self._producer.create_batch(), asyncio.get_running_loop().create_future()
        group.append(timestamp=None, key=key, value=value, headers=headers)
        self._waiting.append((group, stored))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return stored

    async def _flush(self) -> None:
        while self._waiting:
            group, stored = self._waiting.popleft()
            group.close()
            try:
                await (await self._producer.send_batch(group, self._topic, partition=self._partition))
                stored.set_result(None)
            except Exception as failed:  # noqa: BLE001 - the request that waits answers 500, which ends the bench
                stored.set_exception(failed)
        self._flushing = None


class BareCollector:
    """The ASGI program."""

    def __init__(self, lanes: list[Lane]) -> None:
        self._lanes = lanes

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/v1/batch":
            waits = {self._store(bytes(call)) for call in _calls.decode(body).batch}
            for stored in waits:
                await stored
        else:
            await self._store(body)
        await send(START)
        await send(DONE)

    def _store(self, value: bytes) -> asyncio.Future[None]:
        call = _call.decode(value)
        key = (call.user_id or call.anonymous_id or "").encode()
        lane = self._lanes[(murmurhash2(key, JAVA_SEED) & 0x7FFFFFFF) % len(self._lanes)]
        return lane.add(key, value, [])


async def main(bootstrap: str, topic: str, port: int) -> None:
    """Serve until SIGTERM."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=GROUP_BYTES
    )
    await producer.start()
    try:
        lanes = [Lane(producer, topic, partition) for partition in sorted(await producer.partitions_for(topic))]
        config = uvicorn.Config(
            BareCollector(lanes),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=False,
        )
        # Several may share the address, as collectors do.
        await uvicorn.Server(config).serve(sockets=[lifecycle.bind(f"127.0.0.1:{port}", shared=True)])
    finally:
        await producer.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
