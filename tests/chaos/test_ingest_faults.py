"""The collector while the broker's disks fail and its answers are lost: 503, and then 200 again without a restart."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import httpx
import psutil
import pytest

from pathline.contracts import accepted
from pathline.kit import kafka
from pathline.kit.kafka import make_consumer
from pathline.kit.topics import ensure_topics
from pathline.storage import keys
from tests.chaos.conftest import Make
from tests.chaos.trial import Trial
from tests.conftest import Stack
from tests.support import kafka_proxy
from tests.support.collector import is_ready, metric, post, viewed
from tests.support.programs import Program
from tests.support.records import until
from tests.support.two_disks import two_disks

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

PARTITIONS = 4
USERS = 24
"""Enough that each partition has some."""
ACK_SECONDS = "3"
"""Thirty times what an ack takes, for the calls that must not be held up, on a machine with much else to do."""
LEAST_BYTES = 1
"""A file may be as long as this and no longer: whatever the broker appends to a log fails as on a full disk."""


class Senders:
    """People who send a call each at a time, and what was answered to whom."""

    def __init__(self, http: httpx.AsyncClient, trial: Trial) -> None:
        self._http = http
        self._trial = trial
        self.acked: dict[int, set[str]] = defaultdict(set)
        self._number = 0

    async def send(self, user: int, message_id: str) -> int:
        """One call; the status of the answer, which is 200 or a 503 with a code and Retry-After."""
        self._trial.sent.setdefault(message_id, "unknown")
        answer = await post(self._http, "/v1/track", viewed(0, userId=f"user-{user}", messageId=message_id))
        if answer.status_code == 200:
            self._trial.sent[message_id] = "ok"
            self.acked[user].add(message_id)
        else:
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] in {"not_acknowledged", "log_unavailable"}
        return answer.status_code

    async def all(self) -> dict[int, int]:
        """A new call of each at once; the status by user."""
        self._number += 1
        statuses = await asyncio.gather(*(self.send(user, f"{user}/{self._number}") for user in range(USERS)))
        return dict(enumerate(statuses))

    async def until_taken(self) -> None:
        """Send until all are taken."""

        async def taken() -> bool:
            return set((await self.all()).values()) == {200}

        await until(taken, 60)

    async def insist(self, user: int) -> int:
        """One call, sent again under its id until it is acked; how often that was."""
        self._number += 1
        message_id, tries = f"{user}/{self._number}", 1
        while await self.send(user, message_id) != 200:
            tries += 1
        return tries

    @property
    def all_acked(self) -> set[str]:
        """What was answered with 200."""
        return set().union(*self.acked.values())


async def _add_key(trial: Trial) -> None:
    async with trial.db() as db:
        await keys.create(db, name="demo", key="demo", kind="server", loopback_only=True)


def _client(program: Program) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{program.address}", trust_env=False, timeout=30)


async def _log(bootstrap: str, topic: str, ids: set[str]) -> list[tuple[int, str]]:
    """The partition and message id of each record, once all of `ids` are among them."""
    consumer = make_consumer(bootstrap, topic, client_id="test", auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[int, str]] = []

    async def all_there() -> bool:
        for at, records in (await consumer.getmany(timeout_ms=50)).items():
            found.extend((at.partition, accepted.decode(record.value).message_id) for record in records)
        return ids <= {message_id for _, message_id in found}

    try:
        await until(all_there)
    finally:
        await consumer.stop()
    return found


async def test_a_partition_without_a_leader_holds_up_nobody_elses_and_a_full_disk_puts_all_off(
    stack: Stack, trial: Trial, make: Make, topic_prefix: str
) -> None:
    await _add_key(trial)
    topic = kafka.topics(topic_prefix).touchpoints
    async with two_disks(stack) as (own, broker):
        await ensure_topics(own.bootstrap, prefix=topic_prefix, partitions=PARTITIONS, replicas=1)
        ingest = await make("ingest", PATHLINE_KAFKA=own.bootstrap, PATHLINE_ACK_SECONDS=ACK_SECONDS).start()
        async with _client(ingest) as http:
            senders = Senders(http, trial)
            await senders.until_taken()
            log = await _log(own.bootstrap, topic, senders.all_acked)
            gone = broker.partitions(topic)
            hit = {int(message_id.split("/")[0]) for partition, message_id in log if partition in gone}
            assert 0 < len(gone) < PARTITIONS and 0 < len(hit) < USERS
            broker.pull()
            await _only_theirs_are_put_off(senders, hit)
            assert await is_ready(http), "a balancer would take it away from the others, too"
            assert await metric(http, "pathline_ingest_stuck_partitions") <= len(gone)
            try:
                await _all_are_put_off(own, senders, http)
            finally:
                # A broker that lost its last disk ends; `up` and every other keeper starts it anew.
                await own.kill("kafka")
            broker.put_back()
            await own.start("kafka")
            await senders.until_taken()
            await until(lambda: is_ready(http))
        found = await _log(own.bootstrap, topic, senders.all_acked)
    assert max(Counter(message_id for _, message_id in found).values()) == 1


async def _only_theirs_are_put_off(senders: Senders, hit: set[int]) -> None:
    async def noticed() -> bool:
        statuses = await senders.all()
        return all(statuses[user] == 503 for user in hit)

    await until(noticed, 60)
    for _ in range(4):
        statuses = await senders.all()
        assert {user for user, status in statuses.items() if status == 503} == hit


async def _all_are_put_off(own: Stack, senders: Senders, http: httpx.AsyncClient) -> None:
    """Because nothing can be appended any more, as on a full disk."""
    running = psutil.Process(own.children["kafka"].pid)
    _, most = running.rlimit(psutil.RLIMIT_FSIZE)
    running.rlimit(psutil.RLIMIT_FSIZE, (LEAST_BYTES, most))
    assert set((await senders.all()).values()) == {503}

    async def told() -> bool:
        return not await is_ready(http)

    await until(told)
    assert set((await senders.all()).values()) == {503}


@pytest.mark.parametrize("without", [None, "dedupe"])
async def test_lost_answers_double_nothing(without: str | None, stack: Stack, trial: Trial, make: Make) -> None:
    """The broker has it, the collector never hears so, and its sender is told to send it again."""
    await _add_key(trial)
    async with kafka_proxy.before(stack.bootstrap) as proxy:
        ingest = make("ingest", PATHLINE_KAFKA=proxy.address, PATHLINE_ACK_SECONDS="0.3")
        await asyncio.gather(ingest.start(), make("stitcher", without=without).start())
        async with _client(ingest) as http:
            senders = Senders(http, trial)
            await asyncio.gather(*map(senders.insist, range(USERS)))
            for _ in range(2):
                proxy.lose_answers = 6
                tries = await asyncio.gather(*map(senders.insist, range(USERS)))
                assert max(tries) > 1, "the answer was waited for no longer than is set"
        assert proxy.lost == 12
    found = await _log(stack.bootstrap, trial.topics.touchpoints, senders.all_acked)
    assert len(found) > len({message_id for _, message_id in found}), "the log has some twice"
    await trial.stitched()
    report = await trial.report()
    if without:
        assert report.findings
    else:
        assert report.findings == [], report.table
        assert report.stored == len(trial.sent)
