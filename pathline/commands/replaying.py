"""Dead letters once more: each judged by what is accepted today, and if it is, put where it was to go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

import asyncpg
from aiokafka.errors import KafkaError, KafkaTimeoutError

from pathline.commands.database import CONNECT_SECONDS
from pathline.contracts import accepted, hint
from pathline.contracts.letters import COLLECTOR, STAGES, Headers, around_of, headers_from_json, others
from pathline.contracts.reading import Unreadable, to_touchpoint
from pathline.kit import kafka
from pathline.kit.kafka import Topics, make_producer
from pathline.kit.settings import Settings
from pathline.storage import keys, letters, sources
from pathline.storage.keys import WriteKey
from pathline.storage.letters import Row
from services.ingest.again import again
from services.ingest.codes import Refused
from services.ingest.passes import Pass
from services.ingest.settings import IngestSettings
from services.ingest.sources import PREFIX

ACK_SECONDS: Final = 30
AT_ONCE: Final = 50
"""Letters read, judged and sent together."""

_CUT: Final = Refused("truncated", "only its first bytes were kept; replay it --with the whole of it")
_NO_CONTEXT: Final = Refused(
    "truncated", "the context of its batch was too large to be kept; replay it --with a call that has its own"
)
_NOT_OURS: Final = Refused("unexplained", "this version does not know who found it, nor where it was to go")
_OTHER_TOPIC: Final = Refused("other_topic", "it lay in a topic that is none of this Pathline's")
_NO_KEY: Final = Refused("unknown_key", "the write key or source that sent it is not in use")
_UNREADABLE: Final = Refused("unreadable_record", "it is no record that Pathline reads")


class Sendable(NamedTuple):
    """What a letter is once more."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Judge:
    """Says what a letter is today."""

    def __init__(self, topics: Topics, senders: Mapping[str, Pass], call_bytes_max: int) -> None:
        """Judge for these topics and those who may send."""
        self._topics = topics
        self._senders = senders
        self._call_bytes_max = call_bytes_max

    def judge(self, row: Row, mended: bytes | None = None) -> Sendable | Refused:
        """What is to be sent of a letter, with `mended` in the place of its bytes where given; or why nothing is."""
        if row.stage not in STAGES:
            return _NOT_OURS
        if row.size is not None and mended is None:
            return _CUT
        value = row.value if mended is None else mended
        return (
            self._call(row, value or b"", mended=mended is not None)
            if row.stage == COLLECTOR
            else self._record(row, value)
        )

    def _call(self, row: Row, value: bytes, *, mended: bool) -> Sendable | Refused:
        """A call that never came as far as the log."""
        key = self._senders.get(row.source or "")
        if key is None:
            return _NO_KEY
        headers = headers_from_json(row.headers)
        around = around_of(headers)
        if around.context_size is not None and not mended:
            return _NO_CONTEXT
        record = again(
            value,
            around,
            key,
            self._call_bytes_max,
            namespace=row.namespace or key.namespace,
            received_at=row.received_at or row.created_at,
        )
        if isinstance(record, Refused):
            return record
        return Sendable(self._topics.touchpoints, record.key, record.value, others(headers))

    def _record(self, row: Row, value: bytes | None) -> Sendable | Refused:
        """A record of the log, as it was."""
        try:
            if row.topic == self._topics.touchpoints:
                to_touchpoint(accepted.decode(value or b""))
            elif row.topic == self._topics.journeys:
                hint.decode(value or b"")
            else:
                return _OTHER_TOPIC
        except Unreadable as unreadable:
            return Refused(unreadable.code, str(unreadable))
        except (ValueError, RecursionError):
            return _UNREADABLE
        return Sendable(row.topic, row.key, value, headers_from_json(row.headers))


async def senders(db: Any) -> dict[str, Pass]:
    """Who may send today, by the name that stands in what they sent."""
    found: Iterable[WriteKey] = await keys.active(db)
    hooks = [
        WriteKey(PREFIX + one.name, "", "server", one.namespace, False, one.created_at, None)  # noqa: FBT003 - a row
        for one in await sources.active(db)
    ]
    return {key.name: Pass(key, 0) for key in (*found, *hooks) if key.policy is not None}


async def judge_of(db: Any, topics: Topics) -> Judge:
    """A judge by the keys and settings of now."""
    return Judge(topics, await senders(db), IngestSettings.load().call_bytes_max)


class Post:
    """Sends what was judged good, and notes it."""

    def __init__(self, db: Any, bootstrap: str) -> None:
        """Send to `bootstrap`, note in `db`."""
        self._db = db
        self._producer = make_producer(bootstrap, client_id="pathline-replay")

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Close the producer, in bounded time: where Kafka stands still it would wait for what it never sends."""
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(kafka.CLOSE_SECONDS):
                await self._producer.stop()

    async def send(self, good: Sequence[tuple[int, Sendable]]) -> None:
        """Send these letters, by their ids. Who is stopped before the note sends again: it counts once all the same.

        Raises:
            aiokafka.errors.KafkaError: Kafka does not take them.
        """
        try:
            async with asyncio.timeout(ACK_SECONDS):
                acks = [
                    await self._producer.send(one.topic, one.value, key=one.key, headers=list(one.headers))
                    for _, one in good
                ]
                await asyncio.gather(*acks)
        except TimeoutError:
            message = f"no ack in {ACK_SECONDS} s"
            raise KafkaTimeoutError(message) from None
        await letters.replayed(self._db, [one for one, _ in good])


class Choice(NamedTuple):
    """Which letters are to be replayed: these, or those of a code and a source that never were."""

    ids: list[int]
    code: str | None
    source: str | None
    mended: bytes | None


class Verdict(NamedTuple):
    """What became of a letter."""

    id: int
    outcome: str
    code: str | None = None
    message: str | None = None


class Tally(NamedTuple):
    """How many were sent, or would be, and how many not."""

    sent: int
    refused: int


async def run(choice: Choice, *, check: bool, tell: Callable[[Verdict], None]) -> Tally:
    """Replay these; `check`: only judge them.

    Raises:
        aiokafka.errors.KafkaError, asyncpg.PostgresError, OSError: one of the servers cannot be used.
    """
    settings = Settings.load()
    topics = kafka.topics(settings.topic_prefix)
    db = await asyncpg.connect(settings.dsn(), timeout=CONNECT_SECONDS)
    try:
        judge = await judge_of(db, topics)
        if check:
            return await _each(db, judge, choice, None, tell)
        async with Post(db, settings.bootstrap()) as post:
            return await _each(db, judge, choice, post, tell)
    finally:
        await db.close()


async def _each(db: Any, judge: Judge, choice: Choice, post: Post | None, tell: Callable[[Verdict], None]) -> Tally:
    """Judge and send portion by portion. What becomes a letter anew meanwhile is not met again."""
    sent, refused, after = 0, 0, 0
    last = await letters.last_id(db)
    left = choice.ids
    while True:
        if choice.ids:
            portion, left = left[:AT_ONCE], left[AT_ONCE:]
            rows = await letters.load(db, portion)
        else:
            rows = await letters.unreplayed(
                db, code=choice.code, source=choice.source, after=after, last=last, most=AT_ONCE
            )
            portion = [row.id for row in rows]
        if not portion:
            return Tally(sent, refused)
        after = portion[-1]
        judged = {row.id: judge.judge(row, choice.mended) for row in rows}
        good = [(one, what) for one, what in judged.items() if isinstance(what, Sendable)]
        if post is not None and good:
            await post.send(good)
        for one in portion:
            tell(_verdict(one, judged.get(one), check=post is None))
        sent += len(good)
        refused += len(portion) - len(good)


def _verdict(letter: int, what: Sendable | Refused | None, *, check: bool) -> Verdict:
    if what is None:
        return Verdict(letter, "not_found", "not_found", "there is no such dead letter")
    if isinstance(what, Refused):
        return Verdict(letter, "refused", what.code, what.message)
    return Verdict(letter, "accepted" if check else "replayed")
