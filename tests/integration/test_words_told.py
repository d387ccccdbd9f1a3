"""What operators say reaches the journeys topic, also when nobody is there to tell of it for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pathline.contracts import hint
from pathline.kit.kafka import make_consumer
from tests.conftest import Stack
from tests.integration.test_words_api import mailbox, met, said
from tests.support.console import Running, running, user
from tests.support.letters import Stitcher
from tests.support.records import until

pytestmark = pytest.mark.integration


async def test_what_is_said_while_no_stitcher_runs_is_told_once_one_does(stack: Stack, database: str) -> None:
    async with running(stack, database, stitches=False) as one, one.console():
        first = Stitcher()
        try:
            await one.send(met("user_id:ida", "email:ida@b"))
        finally:
            await first.end()
        split = await said(one, user("ida"), "split", identifier={"kind": "email", "value": "ida@b"})
        assert split.act is not None
        untold = "SELECT count(*) FROM operator_act WHERE told_at IS NULL"
        assert await one.pool.fetchval(untold) == 1
        both = [Stitcher(), Stitcher()]
        try:
            await until(lambda: _none(one, untold))
        finally:
            await asyncio.gather(*(each.end() for each in both))
        (told, *again) = [each for each in await hints(one) if each.word]
        assert told.message_id == f"act-{split.act.id}" and told.event == "Customer Split"
        assert {user("ida"), mailbox("ida@b")} <= {str(each) for each in told.moved}
        # Two stitchers may tell of the same act: that is the same hint.
        assert all(each == told for each in again)


async def _none(here: Running, count_of: str) -> bool:
    return bool(await here.pool.fetchval(count_of) == 0)


async def hints(here: Running) -> list[hint.Hint]:
    """All hints of the journeys topic."""
    consumer = make_consumer(here.stack.bootstrap, here.topics.journeys, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    try:
        await until(lambda: _assigned(consumer))
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found: list[hint.Hint] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [one for each in records for one in hint.decode(each.value).hints]
    finally:
        await consumer.stop()
    return found


async def _assigned(consumer: Any) -> bool:
    return bool(consumer.assignment())
