"""Kafka and PostgreSQL are stopped and killed under load: no service needs a restart, and every 200 is kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import asyncpg
import httpx
import pytest

from pathline.storage import keys
from tests.chaos.conftest import Make
from tests.chaos.trial import Trial
from tests.conftest import Stack
from tests.support.programs import Program
from tests.support.records import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CLIENTS = 16
CALLS_BETWEEN_FAULTS = 400


class Client:
    """A customer's SDK: one call after the other, each sent again under its id until it is acked."""

    def __init__(self, number: int, http: httpx.AsyncClient, trial: Trial) -> None:
        self.name = f"client-{number}"
        self.answers: Counter[int] = Counter()
        self.without_retry_after = 0
        self.acked = 0
        self.http = http
        self._trial = trial

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop, and see the last one through."""
        while not stop.is_set():
            message_id = f"{self.name}-{self.acked}"
            self._trial.sent[message_id] = "unknown"
            call = {"messageId": message_id, "userId": self.name, "event": "Product Viewed", "properties": {}}
            while not await self._post(call):
                await asyncio.sleep(0.1)
            self._trial.sent[message_id] = "ok"
            self.acked += 1

    async def _post(self, call: Mapping[str, object]) -> bool:
        try:
            answer = await self.http.post("/v1/track", json=call, auth=("demo", ""))
        except httpx.TransportError:
            self.answers[0] += 1
            return False
        self.answers[answer.status_code] += 1
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.without_retry_after += "retry-after" not in answer.headers
        return answer.status_code == httpx.codes.OK


async def in_order(trial: Trial, clients: list[Client]) -> None:
    """What one customer did stands in the log in the order in which it was acked."""
    async with trial.db() as db:
        rows = await db.fetch('SELECT message_id, "offset" FROM touchpoint ORDER BY partition, "offset"')
    places: dict[str, list[int]] = {}
    for row in rows:
        name, _, number = row["message_id"].rpartition("-")
        places.setdefault(name, []).append(int(number))
    assert {name: sorted(numbers) for name, numbers in places.items()} == places
    assert places.keys() == {client.name for client in clients}


async def test_kafka_and_postgres_restarted_under_load_lose_and_double_nothing(
    trial: Trial, make: Make, stack: Stack
) -> None:
    connection = await asyncpg.connect(trial.dsn)
    await keys.create(connection, name="demo", key="demo", kind="server", loopback_only=True)
    await connection.close()
    programs = [make(name) for name in ("ingest", "stitcher", "scorer")]
    await asyncio.gather(*(program.start() for program in programs))
    ingest = programs[0]
    stop = asyncio.Event()
    async with httpx.AsyncClient(base_url=f"http://{ingest.address}", timeout=20) as http:
        clients = [Client(number, http, trial) for number in range(CLIENTS)]
        running = [asyncio.create_task(client.run(stop)) for client in clients]
        await more_calls(clients)
        await stack.stop("kafka")
        await until(lambda: _refused(clients), 30)
        await until(lambda: _say(http, programs[1:], "kafka"), 30)
        await stack.start("kafka")
        await more_calls(clients)
        await stack.kill("postgres")
        await more_calls(clients)  # The log takes touchpoints while the database is away.
        await until(lambda: _say(http, programs[1:], "database"), 30)
        await stack.start("postgres")
        await stack.kill("kafka")
        await stack.start("kafka")
        await more_calls(clients)
        stop.set()
        await asyncio.gather(*running)
    await trial.judged()
    report = await trial.report()
    assert report.findings == [], report.table
    await in_order(trial, clients)
    answers = sum((client.answers for client in clients), Counter[int]())
    assert answers.keys() <= {0, httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}
    assert sum(client.without_retry_after for client in clients) == 0
    assert all(program.running for program in programs)
    for program in programs:
        await program.ready()


async def more_calls(clients: list[Client]) -> None:
    target = sum(client.acked for client in clients) + CALLS_BETWEEN_FAULTS

    async def enough() -> bool:
        return sum(client.acked for client in clients) >= target

    try:
        await until(enough, 60)
    except AssertionError as late:
        answers = sum((client.answers for client in clients), Counter[int]())
        metrics = (await clients[0].http.get("/metrics")).text
        told = [line for line in metrics.splitlines() if "bucket" not in line and "#" not in line]
        raise AssertionError("\n".join([str(late), str(answers), *told])) from late


async def _say(http: httpx.AsyncClient, programs: list[Program], part: str) -> bool:
    """Whether each of these gives that part as a reason why it is not ready."""
    answers = [await http.get(f"http://{program.address}/health/ready") for program in programs]
    return all(part in answer.json()["reasons"] for answer in answers)


async def _refused(clients: list[Client]) -> bool:
    return any(client.answers[httpx.codes.SERVICE_UNAVAILABLE] for client in clients)
