"""A service with a safeguard switched off, or a fault put in: `python -m tests.chaos.without WHAT[,WHAT] SERVICE`.

A checker that never fails proves nothing. Each safeguard is taken out of the real product, by replacing
the one function that is it, and the checker must then find what goes wrong.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import asyncpg

from pathline.consuming import persistence
from pathline.domain import judging, story
from pathline.domain.detectors.compiled import Detector
from pathline.domain.facts import State
from pathline.kit import kafka, lifecycle
from pathline.storage import codec, fences, judgements, stitching, sweeps
from pathline.storage import letters as dead_letters
from tests.support import checker
from tests.support.records import until

MEANWHILE_SECONDS: Final = 0.02


def dedupe() -> None:
    """Every touchpoint is new."""

    async def insert_seen(_db: object, received: dict[Any, datetime]) -> set[Any]:
        return set(received)

    stitching.insert_seen = insert_seen  # type: ignore[assignment]


def fence() -> None:
    """Whoever was overtaken writes all the same."""

    async def lock(_db: object, _topic: str, _moves: object) -> None:
        return

    fences.lock = lock  # type: ignore[assignment]


def version() -> None:
    """A state of a newer version is read and written like one of its own."""

    def known(_one: object, _version: object) -> None:
        return

    stitching.check_version = known  # type: ignore[assignment]


def transaction() -> None:
    """Each statement is committed by itself."""

    def nothing(_self: object, **_options: object) -> nullcontext[None]:
        return nullcontext()

    asyncpg.Connection.transaction = nothing


def row_locks() -> None:
    """States are read without a lock, then written; so long after that a peer reads them meanwhile, too."""
    fetch = asyncpg.Connection.fetch

    async def unlocked(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if " FOR UPDATE" not in query or not ("FROM strand" in query or "FROM entity" in query):
            return await fetch(self, query, *args, **more)
        rows = await fetch(self, query.replace(" FOR UPDATE", ""), *args, **more)
        await asyncio.sleep(MEANWHILE_SECONDS)
        return rows

    asyncpg.Connection.fetch = unlocked


def cause_key() -> None:
    """Nobody remembers which causes alerted."""

    async def spent(_db: object, _causes: object) -> dict[Any, Any]:
        return {}

    async def spend(_db: object, _changes: object) -> None:
        return

    def nobody(_one: object, _cause: object, _memory: object) -> None:
        return

    judgements.spent = spent  # type: ignore[assignment]
    judgements._spend = spend  # type: ignore[assignment]
    judging._owner = nobody  # type: ignore[assignment]


def through() -> None:
    """Deadlines go by the clock alone, whether or not what was received has been read."""
    clocks = judgements.clocks

    async def clock_alone(db: Any, touchpoints: str) -> tuple[datetime, datetime | None]:
        clock, _ = await clocks(db, touchpoints)
        return clock, clock

    judgements.clocks = clock_alone


def fired() -> None:
    """What has fired is due by the time of now alone, and not any more where that goes back."""
    Detector.timed = property(lambda _self: False)  # type: ignore[assignment, method-assign]


def letters() -> None:
    """What cannot be used is passed by, and kept nowhere."""

    async def write(*_told: object) -> None:
        return

    dead_letters.write = write  # type: ignore[assignment]


def waiting() -> None:
    """A database without room is taken for one that does not take these records."""
    vars(persistence)["REFUSALS"] += (asyncpg.DiskFullError,)


def zone() -> None:
    """A day ends at midnight in UTC, wherever the parcel goes."""

    def utc(_name: object, _fallback: object) -> ZoneInfo:
        return ZoneInfo("UTC")

    story.zone_named = utc  # type: ignore[assignment]


NOT_AGAIN: Final = "no story is judged again"


def sweeping() -> None:
    """What was judged by other detectors stays as it is."""

    async def never(_db: object, _rules: object) -> bool:
        sys.stderr.write(f"{NOT_AGAIN}\n")
        return False

    sweeps.again = never  # type: ignore[assignment]


NOBODY_ENDED: Final = "its rows are locked again and again"
TRIES: Final = 4


def ending() -> None:
    """Who takes a partition over waits for the rows of who had it, and ends no session."""

    taken, tried = fences.take, itertools.count(1)

    async def nobody(*_told: object) -> list[int]:
        next(tried)
        return []

    async def take(*told: Any) -> Any:
        try:
            return await taken(*told)
        except asyncpg.LockNotAvailableError:
            if next(tried) > TRIES:
                sys.stderr.write(f"{NOBODY_ENDED}\n")
            raise

    fences.take = take  # type: ignore[assignment]

    fences.end_holder = nobody  # type: ignore[assignment]


def peers() -> None:
    """A fault, no safeguard: it is in a group of its own, and so believes that every partition is its own."""
    make_consumer = kafka.make_consumer

    def alone(*args: Any, group_id: str, **more: Any) -> Any:
        return make_consumer(*args, group_id=f"{group_id}.{os.getpid()}", **more)

    kafka.make_consumer = alone  # type: ignore[assignment]
    # However long one of them sleeps while the machine is busy, it must wake as a member and not join anew.
    vars(kafka)["SESSION_TIMEOUT_MS"] = 120_000


OVERTAKEN_SECONDS: Final = 60.0
IN_HAND: Final = "a batch in hand, and nothing done with it until a peer has"


def late() -> None:
    """A fault, no safeguard: its first batch comes to the database when a peer has its partition and has read all of it.

    Its name is the last of its group's, so that the first partition is a peer's as soon as there is one.
    """
    lock, make_consumer, first = fences.lock, kafka.make_consumer, iter([True])

    def last(*args: Any, client_id: str, **more: Any) -> Any:
        return make_consumer(*args, client_id=f"zz-{client_id}", **more)

    async def overtaken(db: Any, topic: str, moves: Any) -> None:
        async def read_by_a_peer() -> bool:
            _, next_offset = (await fences.positions(db, topic))[0]
            return next_offset >= int(moves[0].next_offset)

        if moves[0].partition == 0 and next(first, False):
            sys.stderr.write(f"{IN_HAND}\n")
            await until(read_by_a_peer, OVERTAKEN_SECONDS)
        await lock(db, topic, moves)

    kafka.make_consumer = last
    fences.lock = overtaken


SLEEPS_AFTER = 3
"""Transactions that one who will fall asleep ends well."""


def awake() -> None:
    """A fault, no safeguard: it stops in the middle of a message to the database, with all its rows locked."""
    advance, done = fences.advance, itertools.count(1)

    async def half_a_message() -> AsyncIterator[tuple[int]]:
        yield (1,)
        os.kill(os.getpid(), signal.SIGSTOP)
        yield (2,)

    async def asleep(db: Any, topic: str, moves: Any) -> None:
        if topic.endswith(".touchpoints.v1") and next(done) == SLEEPS_AFTER:
            await db.execute("CREATE TEMP TABLE half (number int)")
            await db.copy_records_to_table("half", records=half_a_message())
        await advance(db, topic, moves)

    fences.advance = asleep


def older() -> None:
    """No fault and no safeguard: it is the version after this one, whose states this one must leave alone.

    They say something that this one knows nothing of, and would write without.
    """
    vars(stitching)["FOLD_VERSION"] += 1
    to_json = codec.to_json

    def with_news(value: Any) -> str:
        text = to_json(value)
        return checker.with_news(text) if isinstance(value, State) else text

    codec.to_json = with_news


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "dedupe": dedupe,
    "fence": fence,
    "version": version,
    "transaction": transaction,
    "row_locks": row_locks,
    "cause_key": cause_key,
    "through": through,
    "fired": fired,
    "letters": letters,
    "waiting": waiting,
    "zone": zone,
    "sweeping": sweeping,
    "ending": ending,
    "peers": peers,
    "late": late,
    "awake": awake,
    "older": older,
}


def main() -> None:
    names, service = sys.argv[1:]
    for name in names.split(","):
        SAFEGUARDS[name]()
    lifecycle.run(importlib.import_module(f"services.{service}.app").main)


if __name__ == "__main__":
    main()
