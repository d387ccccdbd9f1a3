"""Records of the journeys topic, decoded, in portions of as many hints as one transaction judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pathline.consuming.partitions import Ownership, Shares
from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.contracts.letters import headers_to_json
from pathline.storage.letters import DeadLetter

UNREADABLE: Final = "unreadable_record"
HINT_BYTES: Final = 300
"""What a hint takes in a record, about."""
MESSAGE_LENGTH: Final = 500
"""Characters kept of the reason; it must never grow with what was sent."""


class Batch(msgspec.Struct):
    """What is judged in one transaction. What can't be read is a dead letter and stops nobody."""

    shares: dict[int, tuple[Ownership, list[Any]]]
    hints: list[Hint]
    letters: list[DeadLetter]


def batches(shares: Shares, most: int) -> Iterator[Batch]:
    """These records in order, each batch with `most` hints or with one record that has more."""
    batch = Batch({}, [], [])
    for partition, (own, records) in sorted(shares.items(), key=lambda item: item[0]):
        for record in records:
            hints = _decode(record, batch.letters)
            if hints and batch.hints and len(batch.hints) + len(hints) > most:
                yield batch
                batch = Batch({}, [], [])
            batch.shares.setdefault(partition, (own, []))[1].append(record)
            batch.hints += hints
    if batch.shares:
        yield batch


def lanes(shares: Shares, most: int, at_once: int) -> list[Shares]:
    """These partitions in up to `at_once` parts of about the same weight; in one, where one batch may hold them all."""
    weights = {
        partition: sum(len(record.value or b"") for record in records) for partition, (_, records) in shares.items()
    }
    if at_once == 1 or sum(weights.values()) <= most * HINT_BYTES:
        return [shares]
    parts: list[dict[int, tuple[Ownership, Sequence[Any]]]] = [{} for _ in range(min(at_once, len(shares)))]
    loads = [0] * len(parts)
    for partition, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        lightest = loads.index(min(loads))
        parts[lightest][partition] = shares[partition]
        loads[lightest] += weight
    return [part for part in parts if part]


def _decode(record: Any, letters: list[DeadLetter]) -> Sequence[Hint]:
    try:
        return hint.decode(record.value or b"").hints
    except (msgspec.DecodeError, ValueError) as error:
        letters.append(
            DeadLetter(
                record.partition,
                record.offset,
                UNREADABLE,
                str(error).replace("\0", "�")[:MESSAGE_LENGTH],
                record.key,
                record.value,
                headers_to_json(record.headers),
            )
        )
        return ()
