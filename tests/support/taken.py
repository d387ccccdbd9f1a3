"""What a desk puts into lanes and what it refuses, without Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pathline.contracts.letters import Around, around_of
from pathline.storage.keys import Kind, Policy, WriteKey
from services.ingest.calls import Record
from services.ingest.codes import Refused
from services.ingest.passes import Pass

BORN = datetime(2026, 1, 1, tzinfo=UTC)


class Taken:
    """Takes what a desk puts into lanes and what it refuses."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.refused: list[tuple[bytes, Refused, Around]] = []

    def add(self, records: Iterable[Record], _timestamp_ms: int, _headers: Any) -> set[Any]:
        self.records += records
        return set()

    def lane_of(self, _hash: int) -> Taken:
        return self

    def spread(self, records: Iterable[Record]) -> Iterator[tuple[Taken, list[Record]]]:
        yield self, list(records)

    def put(self, raw: bytes, refused: Refused, _key: Pass, _at: datetime, around: Around, _traced: Any) -> tuple[()]:
        self.refused.append((raw, refused, around_of(around.to_headers())))
        return ()


def key_of(kind: Kind, **policy: Any) -> Pass:
    row = WriteKey("shop", "k", kind, "uk", False, BORN, None, policy=Policy(**policy))  # noqa: FBT003 - a row
    return Pass(row, 1_000_000)
