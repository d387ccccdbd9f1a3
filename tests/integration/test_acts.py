"""What people did, in short, from the real table: the newest, the oldest, and whether that was all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pathline.domain.identifiers import name_id
from pathline.storage import acts
from pathline.storage.acts import Lived
from tests.conftest import Stack
from tests.support.console import running
from tests.support.records import record

pytestmark = pytest.mark.integration

ANN = name_id("default", "user_id", "ann")
VISITOR = name_id("default", "anonymous_id", "v")


async def test_the_newest_acts_the_oldest_and_whether_that_was_all(stack: Stack, database: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    at = [now - timedelta(minutes=9 - n) for n in range(4)]
    calls: list[tuple[dict[str, Any], datetime]] = [
        ({"event": "Ad Clicked", "anonymousId": "v"}, at[0]),
        ({"event": "Product Viewed", "userId": "ann"}, at[1]),
        ({"event": "Order Completed", "userId": "ann", "properties": {"order_id": "1"}}, at[2]),
        # A report is no act, although it names her.
        ({"event": "Shipment Scanned", "userId": "ann", "properties": {"order_id": "1", "status": "delayed"}}, at[3]),
    ]
    async with running(stack, database) as here:
        await here.send(*(record(call, message_id=f"m{n}", at=when) for n, (call, when) in enumerate(calls)))
        async with here.pool.acquire() as db:
            all_ = await acts.lived(db, [ANN, VISITOR], at[0])
            assert [(one.at, one.message_id, one.event) for one in all_.acts] == [
                (at[2], "m2", "Order Completed"), (at[1], "m1", "Product Viewed"), (at[0], "m0", "Ad Clicked"),
            ]  # fmt: skip
            assert all_.acts[0].moment_of_truth and not all_.acts[1].moment_of_truth
            assert (all_.oldest, all_.complete) == (all_.acts[2], True)
            # Of more than are read the oldest is still known, and they are not all.
            some = await acts.lived(db, [ANN, VISITOR], at[0], limit=2)
            assert (some.acts, some.oldest, some.complete) == (all_.acts[:2], all_.acts[2], False)
            # What happened before the oldest that is kept is forgotten.
            assert not (await acts.lived(db, [ANN, VISITOR], at[0] - timedelta(days=1))).complete
            exact = await acts.lived(db, [ANN, VISITOR], at[0], limit=3)
            assert (exact.acts, exact.complete) == (all_.acts, True)
            assert await acts.lived(db, [name_id("default", "user_id", "nobody")], None) == Lived()
            assert not (await acts.lived(db, [], at[0])).complete
