"""Kafka: the topics' names, and clients set so that an ack means stored and nothing is skipped in silence."""

import asyncio
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

MEBIBYTE = 1_048_576
REQUEST_TIMEOUT_MS = 5_000
"""How long a request may take: a produce that is not acked by then is answered 503 and retried by its sender."""
SESSION_TIMEOUT_MS = 8_000
"""How soon a dead consumer's partitions move. Short, because the fence in SQL makes a zombie harmless."""
REBALANCE_TIMEOUT_MS = 60_000
FETCH_WAIT_MS = 100
"""How long the broker keeps a fetch for which it has nothing. aiokafka has one fetch on its way to a broker at a time:
while one waits for partitions at their end, what is behind on another is not asked for. With the usual half second one
busy partition beside idle ones was read at 3,000 records a second."""


CLOSE_SECONDS = 5
"""How long the end of a client is waited for."""


class Topics(NamedTuple):
    """The topics' names under one prefix."""

    touchpoints: str
    journeys: str
    alerts: str
    dead_letters: str


def topics(prefix: str = "pathline") -> Topics:
    """The topics' names; tests give a `prefix` of their own."""
    return Topics(
        touchpoints=f"{prefix}.touchpoints.v1",
        journeys=f"{prefix}.journeys.v1",
        alerts=f"{prefix}.alerts.v1",
        dead_letters=f"{prefix}.dead-letters.v1",
    )


def make_producer(
    bootstrap: str, *, client_id: str, linger_ms: int = 0, request_timeout_ms: int = REQUEST_TIMEOUT_MS, **more: Any
) -> AIOKafkaProducer:
    """A producer, not yet started: idempotent, acks=all. It never expires a batch, so bound every wait on it."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        request_timeout_ms=request_timeout_ms,
        metadata_max_age_ms=60_000,
        **more,
    )


def make_consumer(
    bootstrap: str,
    *names: str,
    client_id: str,
    group_id: str | None = None,
    group_instance_id: str | None = None,
    auto_offset_reset: str = "none",
    **more: Any,
) -> AIOKafkaConsumer:
    """A consumer of raw bytes, not yet started, that commits nothing by itself: offsets live in Postgres.

    `auto_offset_reset` "none" raises on a lost position; the library's default, "latest", would skip in silence.
    """
    return AIOKafkaConsumer(
        *names,
        bootstrap_servers=bootstrap.split(","),
        client_id=client_id,
        group_id=group_id,
        group_instance_id=group_instance_id,
        auto_offset_reset=auto_offset_reset,
        enable_auto_commit=False,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=REBALANCE_TIMEOUT_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=60_000,
        **more,
    )


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, in at most CLOSE_SECONDS, whatever state it is in.

    aiokafka 0.14 cancels its own fetches at the end, and while the broker is away that cancellation comes out of
    `stop()` as if somebody had cancelled whoever called it. So it gets a task of its own, where it ends.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait({stopping}, timeout=CLOSE_SECONDS)
    if not stopping.done():
        stopping.cancel()
    elif not stopping.cancelled():
        error = stopping.exception()
        if error is not None and not isinstance(error, KafkaError | OSError):
            raise error


async def cluster_id(bootstrap: str, *, request_timeout_ms: int = REQUEST_TIMEOUT_MS) -> str:
    """The id the cluster was formatted with: another one means that this is not the Kafka we read before."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=request_timeout_ms)
    await admin.start()
    try:
        described = await admin.describe_cluster()
    finally:
        await admin.close()
    return str(described["cluster_id"])
