"""Who may listen, and for how long."""

from __future__ import annotations

import asyncio
import time

from services.console.gate import STREAM
from services.console.sessions import Session
from tests.support.guarded import Guarded


async def test_a_stream_ends_with_the_session_that_opened_it() -> None:
    guarded = Guarded(console_heartbeat_seconds=0.2)
    until = int(time.time()) + 2
    headers = guarded.cookie(Session("Ann", until, "nonce"))
    async with guarded.client() as client, asyncio.timeout(20):
        answer = await client.get(STREAM, headers=headers)
        ended = time.time()
        again = await client.get(STREAM, headers=headers)
    assert answer.status_code == 200 and answer.text.count("event: heartbeat") > 1
    assert ended >= until and again.status_code == 401
    assert guarded.context.hub.open_streams == 0
