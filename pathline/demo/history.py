"""A file of history: what the demo's customers did in some days, for `pathline import` and `pathline backtest`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from pathline.demo.lives import crowd
from pathline.demo.pace import HISTORY

_encode = msgspec.json.Encoder().encode


def history(seed: int, *, customers: int, start: datetime, days: int) -> Iterator[bytes]:
    """The calls of so many customers who come in so many days, oldest first, each a line of NDJSON.

    It ends with the last of the days: what would happen later has not happened yet, so that some orders are still
    on their way. The ids carry the seed: two files of one seed tell of the same customers.
    """
    end = start + timedelta(days=days)
    gap = timedelta(days=days).total_seconds() / customers
    lives = crowd(seed, run=f"h{seed}-", start=start, pace=HISTORY, gap_seconds=gap, most=customers, opening=False)
    for event in lives:
        if event.at >= end:
            return
        # One key of a server imports it all, so the browser's part says for itself where it was.
        where = {"context": {"channel": "web"}} if event.by == "web" else {}
        yield _encode({**event.call, **where}) + b"\n"
