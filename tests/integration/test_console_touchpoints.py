"""When a touchpoint happened, as the API tells it: the time that counts, and what the sender's own clock said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pathline.contracts import api
from pathline.domain.identifiers import name_id
from tests.conftest import Stack
from tests.support.console import running
from tests.support.records import record

pytestmark = pytest.mark.integration


async def test_both_times_are_kept(stack: Stack, database: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    ago = [now - timedelta(minutes=minutes) for minutes in range(5)]
    old = now - timedelta(days=400)
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        # Two hours fast, and corrected; older than a browser holds anything back; in time; and a server's word.
        (
            "shifted",
            {"timestamp": (ago[4] + timedelta(hours=2)).isoformat()},
            {"occurred_at": ago[4], "trusted": False},
        ),
        ("clamped", {"timestamp": old.isoformat()}, {"occurred_at": ago[3], "trusted": False, "clamped": True}),
        ("exact", {"timestamp": ago[2].isoformat()}, {"occurred_at": ago[2], "trusted": False}),
        ("server", {"timestamp": ago[1].isoformat()}, {"occurred_at": ago[1], "trusted": True}),
    ]
    async with running(stack, database) as here, here.console():
        await here.send(
            *(
                record(
                    {"event": "Product Viewed", "userId": "ann", **told}, message_id=name, received_at=now, **envelope
                )
                for name, told, envelope in calls
            )
        )
        page = await here.get(f"/customers/{name_id('default', 'user_id', 'ann')}/touchpoints")
    assert [
        (one.message_id, one.occurred_at, one.told_at, one.clamped)
        for one in msgspec.convert(page, api.TouchpointPage).items
    ] == [
        ("shifted", ago[4], ago[4] + timedelta(hours=2), False),
        ("clamped", ago[3], old, True),
        ("exact", ago[2], None, False),
        ("server", ago[1], None, False),
    ]
