"""A batch as its calls would be recorded one by one, to hold what is put together against."""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.calls import Record
from services.ingest.codes import Refused
from services.ingest.together import Taken


def as_taken(recorded: Sequence[Record | Refused]) -> Taken:
    """The same, told as `together.take` tells it."""
    records = [one for one in recorded if isinstance(one, Record)]
    refused = [(place, one) for place, one in enumerate(recorded) if isinstance(one, Refused)]
    return Taken(records, refused, sum(one.when.clamped for one in records))
