"""What can be set on a collector."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pathline.kit.settings import Settings

KIBIBYTE = 1_024
MEBIBYTE = 1_048_576
BODIES_IN_FLIGHT_LEAST = 8
"""Bodies of the largest size must fit in flight, with what they become; else such a one would be put off for ever."""


BODIES_OF_KEY_LEAST = 6
"""One body of the largest size, inflated, with the context of its batch in each call, is always within a key's part."""


class IngestSettings(Settings):
    """Settings of the collector, from `PATHLINE_*`."""

    body_bytes_max: int = Field(
        default=4 * MEBIBYTE,
        ge=64 * KIBIBYTE,
        le=16 * MEBIBYTE,
        description="Bytes of a request's body, also once inflated, at most; RudderStack's clients send up to 4 MB.",
    )
    unkeyed_body_bytes_max: int = Field(
        default=512 * KIBIBYTE,
        ge=64 * KIBIBYTE,
        le=16 * MEBIBYTE,
        description="Bytes of a body, also inflated, that alone shows the write key: it is read whoever sends it.",
    )
    call_bytes_max: int = Field(
        default=32 * KIBIBYTE,
        ge=KIBIBYTE,
        le=512 * KIBIBYTE,
        description="Bytes of one call with the context of its batch, at most.",
    )
    batch_calls_max: int = Field(default=2_500, ge=1, le=10_000, description="Calls in a batch, at most.")
    bytes_in_flight_max: int = Field(
        default=64 * MEBIBYTE,
        ge=512 * KIBIBYTE,
        le=4_096 * MEBIBYTE,
        description="Bytes received and not yet answered, at most; beyond it the answer is 503.",
    )
    key_share: float = Field(
        default=0.5,
        ge=0.1,
        le=1.0,
        description="The part of bytes_in_flight_max that the requests of one write key may have, at most.",
    )
    public_collector: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        max_length=2_000,
        description="Where SDKs that ask for their settings are told to send to; none: where they asked.",
    )
    connections_max: int = Field(default=4_000, ge=10, le=100_000, description="Open connections, at most.")
    header_bytes_max: int = Field(
        default=16 * KIBIBYTE, ge=4 * KIBIBYTE, le=64 * KIBIBYTE, description="Bytes of a request's headers, at most."
    )
    headers_max: int = Field(default=100, ge=20, le=1_000, description="Headers of a request, at most.")
    request_seconds: float = Field(
        default=10.0, ge=0.2, le=120.0, description="A request has this long to arrive, in seconds."
    )
    ack_seconds: float = Field(
        default=5.0, ge=0.2, le=30.0, description="Kafka has this long to acknowledge before the answer is 503."
    )
    webhook_tolerance_seconds: float = Field(
        default=300.0,
        ge=10.0,
        le=3_600.0,
        description="How far from now a provider may have signed a webhook, in seconds, where it signs a time.",
    )
    keys_seconds: float = Field(
        default=2.0, ge=0.1, le=5.0, description="How often the write keys are read again, in seconds."
    )
    collector_shared: bool = Field(
        default=False,
        description="Whether several collectors of a machine share the address (Linux), one for each processor.",
    )
    leave_seconds: float = Field(
        default=2.0,
        ge=0.0,
        le=10.0,
        description="After SIGTERM, how long to say not ready before connections end: a balancer's turn to hear it.",
    )

    dead_letters_per_second: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="Refused calls of a key kept as dead letters in the long run, 60 times that at once; 0: none.",
    )
    dead_letter_bytes_per_second: int = Field(
        default=16 * KIBIBYTE,
        ge=KIBIBYTE,
        le=16 * MEBIBYTE,
        description="Bytes of them in the long run, 60 times that at once; 16 KiB are 1.4 GB a day.",
    )
    dead_letter_bytes_max: int = Field(
        default=64 * KIBIBYTE,
        ge=KIBIBYTE,
        le=256 * KIBIBYTE,
        description="Bytes kept of one refused call; of a longer one the first of them.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.bytes_in_flight_max < BODIES_IN_FLIGHT_LEAST * self.body_bytes_max:
            reason = f"bytes_in_flight_max must be at least {BODIES_IN_FLIGHT_LEAST} times body_bytes_max"
            raise ValueError(reason)
        return self

    @property
    def key_room(self) -> int:
        """Bytes that the requests of one key may have under way: its share, and one body whatever that is."""
        return max(int(self.key_share * self.bytes_in_flight_max), BODIES_OF_KEY_LEAST * self.body_bytes_max)
