"""A load on the touchpoints topic, and what the checker says once all of it is handled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pathline.kit.kafka import Topics
from tests.chaos import tally
from tests.conftest import Stack
from tests.support import checker
from tests.support.checker import Report
from tests.support.records import produce, until

CHUNK = 1_000
SECONDS = tally.of(100, 900)
"""With every processor busy with other tests; alone it takes a tenth."""

Log = Sequence[tuple[str, bytes]]


class Trial:
    """One test's topics and database, and what was sent so far."""

    def __init__(self, stack: Stack, dsn: str, topics: Topics, config: pytest.Config) -> None:
        self._config = config
        self.bootstrap = stack.bootstrap
        self.dsn = dsn
        self.topics = topics
        self.sent: dict[str, checker.Outcome] = {}

    @asynccontextmanager
    async def db(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def value(self, statement: str, *args: object) -> Any:
        """The one value that a statement answers."""
        async with self.db() as db:
            return await db.fetchval(statement, *args)

    async def send(self, log: Log) -> None:
        """Write these; all are acked."""
        for start in range(0, len(log), CHUNK):
            share = log[start : start + CHUNK]
            await produce(self.bootstrap, self.topics.touchpoints, [value for _, value in share])
            self.sent.update((message_id, "ok") for message_id, _ in share)

    async def passed(self, count: int) -> None:
        """Wait until so many touchpoints are noted as seen."""

        async def enough() -> bool:
            return bool(await self.value("SELECT count(*) >= $1 FROM seen", count))

        await until(enough, SECONDS)

    async def epochs(self) -> dict[int, int]:
        """How often each partition of touchpoints was taken."""
        async with self.db() as db:
            rows = await db.fetch("SELECT partition, epoch FROM fence WHERE topic = $1", self.topics.touchpoints)
        return {row["partition"]: row["epoch"] for row in rows}

    async def taken_over(self, before: Mapping[int, int]) -> None:
        """Wait until each partition was taken since."""

        async def taken() -> bool:
            now = await self.epochs()
            return all(now[partition] > epoch for partition, epoch in before.items())

        await until(taken, SECONDS)

    async def stitched(self) -> None:
        """Wait until every record is handled."""
        await self._drained(self.topics.touchpoints)

    async def judged(self) -> None:
        """Wait until every record and then every hint is handled, and what alerts add up to is looked at.

        A batch's hints are sent after it is committed.
        """
        await self.stitched()
        await until(self._all_told, SECONDS)
        await self._drained(self.topics.journeys)
        await until(self._added_up, SECONDS)

    async def _added_up(self) -> bool:
        return not await self.value("SELECT count(*) FROM risk_look")

    async def _all_told(self) -> bool:
        unsent = "SELECT count(*) FROM fence WHERE topic = $1 AND hints IS NOT NULL"
        return not await self.value(unsent, self.topics.touchpoints)

    async def _drained(self, topic: str) -> None:
        async with checker.lags(self.dsn, self.bootstrap, topic) as lag:

            async def nothing_waits() -> bool:
                return await lag() <= 0

            await until(nothing_waits, SECONDS)

    async def report(self) -> Report:
        """What the checker says."""
        return await checker.check(self.dsn, self.bootstrap, self.topics.touchpoints, self.sent)

    async def tell(self, number: str, fault: str, measured: str = "") -> Report:
        """Have the checker look, put what it says in the table of faults, and fail where it found anything."""
        report = await self.report()
        tally.tell(self._config, number, fault, report, measured)
        return report

    async def shown(self, number: str, safeguard: str, like: str = "") -> None:
        """Have the checker look at what came of a fault without a safeguard; fail where it finds nothing like this."""
        report = await self.report()
        findings = [finding for finding in report.findings if like in finding]
        assert findings, report.table
        tally.shown(self._config, number, safeguard, findings)

    def found(self, number: str, safeguard: str, count: int, what: str) -> None:
        """Say what a test itself has found, which the checker does not look at; fail where that is nothing."""
        tally.shown(self._config, number, safeguard, [f"{count:,} {what}"] if count else [])

    def wrong(self, number: str, safeguard: str, findings: Sequence[str]) -> None:
        """Say what a test's own checker has found without a safeguard; fail where that is nothing."""
        tally.shown(self._config, number, safeguard, findings)
