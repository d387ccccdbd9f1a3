"""Records of a poll, decoded and folded: touchpoints that can be stitched, and records that can't."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from pathline.contracts import accepted
from pathline.contracts.accepted import NewerRecordError
from pathline.contracts.hint import Hint
from pathline.contracts.letters import headers_to_json
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.domain.fold import Changes, Stitched
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.storage.letters import DeadLetter
from pathline.storage.stitching import row_of
from services.stitcher.letters import source_of

PAUSED: Final = "the database refused too much of what this source sent; this was not tried"

Records = Mapping[int, Sequence[Any]]
"""aiokafka's ConsumerRecords by partition, in the order of their offsets."""

PORTION: Final = 25
"""Records decoded and folded at a time while PostgreSQL works on the batch before: about a millisecond's work, and so
what an answer of PostgreSQL waits at most."""


class Batch(msgspec.Struct):
    """What a poll brought. A touchpoint that stands in it twice is in it once: the first copy in the log counts."""

    records: Records
    touchpoints: dict[UUID, Touchpoint]
    at: dict[UUID, tuple[int, int]]
    """(partition, offset) of each touchpoint."""
    traces: dict[UUID, str]
    """The traceparent that came with a touchpoint, where one did."""
    letters: list[DeadLetter]
    size: int
    changes: Changes | None = None
    """All of `touchpoints` folded. Where some turn out to be no new ones, the rest is folded again without them."""
    rows: list[Sequence[Any]] = []
    """What is stored of each touchpoint, and `hints` what is said of it; whom it moved is not in them."""
    hints: list[Hint] = []


def collect(
    records: Records, stages: Stages, since: datetime | None = None, paused: Collection[str] = frozenset()
) -> Batch:
    """Decode and fold the records of a poll.

    Raises:
        NewerRecordError: a newer version wrote one of them. For that one it is no dead letter, and must wait for it.
    """
    batch = empty(records, stages)
    for _ in fill(batch, since, paused):
        pass
    return batch


def empty(records: Records, stages: Stages) -> Batch:
    """A batch of these records that is not decoded yet."""
    return Batch(records, {}, {}, {}, [], 0, Changes(stages))


def fill(batch: Batch, since: datetime | None = None, paused: Collection[str] = frozenset()) -> Iterator[None]:
    """Decode a batch's records, each on its own, and fold them; pauses after each portion.

    What can't be read is a dead letter and stops nobody. What was received before `since` is one, too: it is forgotten
    by now whether it was counted; and so is what came from one of the sources that are `paused`.

    Raises:
        NewerRecordError: a newer version wrote one of them. For that one it is no dead letter, and must wait for it.
    """
    assert batch.changes is not None
    for partition in sorted(batch.records):
        for record in batch.records[partition]:
            if batch.size % PORTION == 0:
                yield
            batch.size += 1
            try:
                touchpoint = to_touchpoint(accepted.decode(record.value))
            except NewerRecordError:
                raise
            except (msgspec.DecodeError, Unreadable, ValueError) as error:
                code = error.code if isinstance(error, Unreadable) else "unreadable_record"
                batch.letters.append(dead_letter(record, code, str(error)))
                continue
            if (why := _unwanted(touchpoint, since, paused)) is not None:
                batch.letters.append(dead_letter(record, *why))
                continue
            if touchpoint.id in batch.touchpoints:
                continue
            batch.touchpoints[touchpoint.id] = touchpoint
            batch.at[touchpoint.id] = at = partition, record.offset
            for name, value in record.headers:
                if name == "traceparent":
                    batch.traces[touchpoint.id] = value.decode("ascii", "replace")
            stitched = batch.changes.add(touchpoint)
            batch.rows.append(row_of(stitched, at))
            batch.hints.append(hint_of(stitched, batch.traces.get(touchpoint.id)))


def hint_of(one: Stitched, traceparent: str | None) -> Hint:
    """What is said of a touchpoint by itself: whom it moved is added when it is written."""
    touchpoint = one.touchpoint
    return Hint(
        subject=one.subject,
        id=touchpoint.id,
        message_id=touchpoint.message_id,
        event=touchpoint.event,
        channel=touchpoint.channel,
        occurred_at=touchpoint.occurred_at,
        received_at=touchpoint.received_at,
        entities=list(one.entities),
        stage=one.stage,
        traceparent=traceparent,
        historical=touchpoint.historical,
    )


def _unwanted(touchpoint: Touchpoint, since: datetime | None, paused: Collection[str]) -> tuple[str, str] | None:
    """The code and the words for why a touchpoint is set aside, or None."""
    if since is not None and touchpoint.received_at < since:
        return "too_old", f"received before {since:%Y-%m-%d}"
    return ("source_paused", PAUSED) if touchpoint.source in paused else None


def dead_letter(record: Any, code: str, message: str) -> DeadLetter:
    """The record as it came, with the reason."""
    return DeadLetter(
        record.partition,
        record.offset,
        code,
        message.replace("\0", "�")[:MESSAGE_LENGTH],
        record.key,
        record.value,
        headers_to_json(record.headers),
        source_of(record.value),
    )


def refused(batch: Batch, message: str) -> Batch:
    """A batch of one record that the database will not take, as its dead letter."""
    ((_, (record,)),) = batch.records.items()
    return Batch(batch.records, {}, {}, {}, [dead_letter(record, "database_refused", message)], 1)


MESSAGE_LENGTH = 500
"""Characters kept of the reason; it must never grow with what was sent."""


def halves(records: Records) -> tuple[Records, Records]:
    """The records in two that can be stitched one after the other: to find the one that the database refuses."""
    if len(records) > 1:
        partitions = sorted(records)
        middle = len(partitions) // 2
        return {p: records[p] for p in partitions[:middle]}, {p: records[p] for p in partitions[middle:]}
    ((partition, only),) = records.items()
    middle = len(only) // 2
    return {partition: only[:middle]}, {partition: only[middle:]}
