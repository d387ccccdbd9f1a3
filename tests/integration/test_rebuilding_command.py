"""What a rebuild fills in, leaves, refuses and says; each on a small shop."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from pathline import cli
from pathline.commands import journeys
from pathline.domain.touchpoint import Touchpoint
from pathline.storage import codec, presence, rebuilding
from services.stitcher.rebuild import AlreadyRunningError, OtherStagesError, Rebuild
from tests.support.rebuilding import OTHER, OTHER_FILE, TOPIC, Stitching, bodied, from_scratch
from tests.support.records import until
from tests.support.scoring import NOW, late, placed, scorer
from tests.support.world import STAGES, touchpoint

pytestmark = pytest.mark.integration


@pytest.fixture
async def stitching(pool: asyncpg.Pool[Any]) -> Stitching:
    made = Stitching(pool)
    await made.empty()
    return made


ANN = {"user_id": "ann"}


def shop() -> list[Touchpoint]:
    """One customer looks, buys, pays, and is delivered to."""
    order = {"order": "order-1"}
    parcel = {"parcel": "parcel-1", **order}
    return [
        bodied(one)
        for one in (
            touchpoint(1, type="page", people=ANN, seconds=1),
            touchpoint(2, event="Product Viewed", people=ANN, seconds=2),
            touchpoint(3, event="Order Completed", people=ANN, things=order, seconds=3, properties={"total": "10.00"}),
            touchpoint(4, event="Payment Failed", things=order, seconds=4, properties={"code": "card_declined"}),
            touchpoint(5, event="Shipment Scanned", things=parcel, seconds=5, properties={"status": "in_transit"}),
            touchpoint(6, event="Payment Succeeded", things=order, seconds=6, properties={"amount": "10.00"}),
        )
    ]


async def _ends_at_once(self: Rebuild, db: Any, job: rebuilding.Job) -> rebuilding.Job:
    return await self._end(db, job, rebuilding.DONE)


@pytest.mark.parametrize("catching_up", [True, False])
async def test_what_came_meanwhile_and_hid_behind_what_is_taken_back_is_told_at_the_end(
    stitching: Stitching, monkeypatch: pytest.MonkeyPatch, *, catching_up: bool
) -> None:
    if not catching_up:
        monkeypatch.setattr(Rebuild, "_catch_up", _ends_at_once)
    # By the old file the page is what first entered `awareness`; by the new one it is in another stage.
    page = bodied(touchpoint(1, type="page", people=ANN, seconds=1))
    later = bodied(touchpoint(2, type="identify", people=ANN, seconds=2, traits={"name": "Ann"}))
    await stitching.add([page], STAGES)
    left = [later]
    third = yaml.safe_load(yaml.safe_dump(OTHER_FILE))
    third["stages"].append({"name": "awareness", "enter": [{"type": ["identify"]}]})
    stages = type(OTHER).from_builtins(third)
    seen: dict[str, Any] = {}

    async def between() -> None:
        if left:
            await stitching.add([left.pop()], stages)

    def on_progress(job: rebuilding.Job, _behind: float) -> None:
        seen[job.phase] = job

    await stitching.rebuild(stages, batch=1, between=between, on_progress=on_progress)
    if catching_up:
        assert seen["done"].changed == 2  # taken back, and told again
        assert await stitching.states() == from_scratch([page, later], stages)
    else:
        assert await stitching.states() != from_scratch([page, later], stages)


async def test_to_catch_up_looks_at_each_touchpoint_a_page_at_a_time_and_tells_what_is_late(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    log = [bodied(touchpoint(n, type="page", people={"user_id": f"u{n}"}, seconds=n)) for n in range(1, 11)]
    await stitching.add(log[:7], STAGES)
    await stitching.add(log[7:], STAGES)
    async with pool.acquire() as db:
        for size, since, taken in ((3, [7], 3), (100, [7], 3), (4, [0], 10), (4, [], 10), (3, [10], 0)):
            found, last, pages = [], None, 0
            (week,) = [one for one in await rebuilding.weeks(db) if one == "touchpoint_rest"]
            while page := await rebuilding.read(db, week, last, size, since):
                found += page.touchpoints
                assert last is None or page.last > last
                last, pages = page.last, pages + 1
            assert pages == -(-len(log) // size)
            ids = sorted(one.id for one in (log[-taken:] if taken else []))
            assert sorted(one.id for one in found) == ids
        assert await rebuilding.read(db, "touchpoint_1999_01_04", None, 3) is None


async def test_the_rate_counts_the_rests(stitching: Stitching, monkeypatch: pytest.MonkeyPatch) -> None:
    await stitching.add(shop(), STAGES)
    now = [0.0]
    monkeypatch.setattr("services.stitcher.rebuild.time", SimpleNamespace(monotonic=lambda: now[0]))
    told: dict[int, float] = {}

    async def between() -> None:
        now[0] += 10

    def on_progress(job: rebuilding.Job, _behind: float) -> None:
        if job.phase == rebuilding.READING:
            told[job.touchpoints] = journeys.rate_of(job)

    await stitching.rebuild(STAGES, batch=1, between=between, on_progress=on_progress)
    assert told[6] == pytest.approx(6 / 50)


async def test_what_no_version_told_before_is_history_and_its_story_is_looked_at(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    log = shop()
    await stitching.add(log, STAGES)
    whole = await stitching.states()
    order = next(one for one, state in whole.items() if "placed" in state.facts)
    # As a version leaves it that knew nothing of payments and of when an order was placed.
    less = msgspec.structs.replace(
        whole[order], marks={}, facts={n: f for n, f in whole[order].facts.items() if n != "placed"}
    )
    await pool.execute("UPDATE entity SET state = $2 WHERE id = $1", order, codec.to_json(less))
    job = await stitching.rebuild(STAGES)
    now = (await stitching.states())[order]
    assert now.count == whole[order].count
    assert now.facts["placed"] == msgspec.structs.replace(
        whole[order].facts["placed"], imported_at=job.started_at
    )  # fmt: skip
    assert [mark.imported_at for mark in now.marks["payments"]] == [job.started_at] * 2
    assert now.facts["total"].imported_at is None
    assert await pool.fetchval("SELECT due_at IS NOT NULL FROM watch WHERE id = $1", order)
    # Once more it has nothing to do.
    again = await stitching.rebuild(STAGES)
    assert (again.changed, (await stitching.states())[order]) == (0, now)


async def test_what_is_older_than_what_is_kept_stays_and_is_marked(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    log = shop()
    await stitching.add(log, STAGES)
    assert (await stitching.rebuild(STAGES)).earlier == 0
    await pool.execute("DELETE FROM touchpoint WHERE message_id = 'm1'")
    before = await stitching.states()
    job = await stitching.rebuild(OTHER)
    after = await stitching.states()
    person = next(one for one, state in before.items() if "stage.awareness" in state.facts)
    assert after[person].facts["stage.awareness"] == before[person].facts["stage.awareness"]
    assert after[person].count == before[person].count == 3
    assert job.earlier == 1
    rows = await pool.fetch("SELECT id, name, stages FROM earlier_fact")
    assert [tuple(row) for row in rows] == [(person, "stage.awareness", STAGES.identity)]


async def test_it_waits_for_stitchers_by_another_file_to_leave(stitching: Stitching, pool: asyncpg.Pool[Any]) -> None:
    await stitching.add(shop(), STAGES)
    (old,) = await pool.fetch("SELECT gen_random_uuid() AS id")
    async with pool.acquire() as db:
        await presence.announce(db, old["id"], STAGES.identity)
        with pytest.raises(OtherStagesError, match="1 of the stitchers"):
            await stitching.rebuild(OTHER)
        assert (await stitching.rebuild(OTHER, anyway=True)).others
        await presence.leave(db, old["id"])
        assert not (await stitching.rebuild(OTHER)).others


async def test_only_one_is_at_it(stitching: Stitching, pool: asyncpg.Pool[Any]) -> None:
    await stitching.add(shop(), STAGES)

    async def between() -> None:
        with pytest.raises(AlreadyRunningError):
            await stitching.rebuild(OTHER)

    assert (await stitching.rebuild(OTHER, between=between)).phase == "done"


async def test_it_rests_while_stitchers_are_behind_and_goes_on_once_they_are_not(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    await stitching.add(shop(), STAGES)
    async with pool.acquire() as db:
        (mine,) = await db.fetch("SELECT gen_random_uuid() AS id")
        await presence.announce(db, mine["id"], OTHER.identity)
    await pool.execute("UPDATE fence SET through = now() - interval '1 hour'")
    waited = asyncio.Event()

    def on_progress(_job: rebuilding.Job, behind: float) -> None:
        if behind > timedelta(minutes=59).total_seconds():
            waited.set()

    rebuild = asyncio.create_task(stitching.rebuild(OTHER, on_progress=on_progress))
    await waited.wait()
    assert not rebuild.done()
    await pool.execute("UPDATE fence SET through = now() + interval '1 hour'")
    assert (await rebuild).phase == "done"


@pytest.fixture
def command(database: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`command("--status")`: what the program answers, in a thread of its own as it has an event loop of its own."""
    stages = tmp_path / "stages.yaml"
    stages.write_text(yaml.safe_dump(OTHER_FILE), encoding="utf-8")
    monkeypatch.setenv("PATHLINE_DATABASE_URL", database)
    monkeypatch.setenv("PATHLINE_STAGES", str(stages))
    app = cli.make_app(["journeys"])

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["journeys", "rebuild", *arguments])

    return run


async def test_the_command_says_how_far_it_is_and_cancels(stitching: Stitching, command: Any) -> None:
    def status(*arguments: str) -> Any:
        return msgspec.json.decode(command("--status", "--json", *arguments).stdout)

    nothing = await asyncio.to_thread(command, "--status")
    assert (nothing.exit_code, nothing.stdout) == (1, "no rebuild was ever begun\n")
    assert (await asyncio.to_thread(command, "--cancel")).exit_code == 1
    await stitching.add(shop(), STAGES)
    told = []

    async def between() -> None:
        told.append(await asyncio.to_thread(status))
        assert told[-1]["running"]
        if len(told) == 3:
            told.append(msgspec.json.decode((await asyncio.to_thread(command, "--cancel", "--json")).stdout))

    job = await stitching.rebuild(OTHER, batch=1, between=between)
    assert job.phase == "cancelled"
    assert [one["touchpoints"] for one in told] == [1, 2, 3, 3, 4]  # the page in hand is done
    assert told[0]["phase"] == "reading"
    assert told[0]["stages"] == OTHER.identity
    words = await asyncio.to_thread(command, "--status")
    assert "cancelled" in words.stdout
    assert "what it wrote stays" in words.stdout


async def test_one_that_was_left_is_cancelled_by_the_command_itself(stitching: Stitching, command: Any) -> None:
    await stitching.add(shop(), STAGES)

    async def between() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await stitching.rebuild(OTHER, batch=1, between=between)
    assert "nobody is at it" in (await asyncio.to_thread(command, "--status")).stdout
    cancelled = await asyncio.to_thread(command, "--cancel", "--json")
    assert (cancelled.exit_code, msgspec.json.decode(cancelled.stdout)["phase"]) == (0, "cancelled")


async def test_one_that_was_to_end_and_was_killed_before_does_not_end_the_next(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    await stitching.add(shop(), STAGES)

    async def between() -> None:
        async with pool.acquire() as db:
            assert await rebuilding.ask_to_cancel(db)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await stitching.rebuild(OTHER, batch=1, between=between)
    assert (await stitching.rebuild(OTHER)).phase == "done"
    phases = await pool.fetch("SELECT phase FROM rebuild ORDER BY id")
    assert [row["phase"] for row in phases] == ["cancelled", "done"]


async def test_neither_what_it_fills_in_nor_what_alerted_before_alerts(
    stitching: Stitching, pool: asyncpg.Pool[Any]
) -> None:
    promised = NOW - timedelta(days=2)
    known, unknown = (bodied(placed(name, promised)) for name in ("known", "unknown"))
    await stitching.add([known, unknown], STAGES)
    # As a version leaves it that knew nothing of promises.
    states = await stitching.states()
    less = msgspec.structs.replace(states[unknown.things[0].id], facts={}, marks={})
    await pool.execute("UPDATE entity SET state = $2 WHERE id = $1", unknown.things[0].id, codec.to_json(less))
    transactions = scorer(pool, TOPIC)
    await transactions.stories([known.things[0].id, unknown.things[0].id])
    (alert,) = await late(pool, [known, unknown])
    assert (alert.entity_value, alert.state) == ("known", "open")
    before = await pool.fetchval("SELECT count(*) FROM outbox")
    await stitching.rebuild(OTHER)
    await pool.execute("UPDATE fence SET through = now() + interval '1 hour'")

    async def looked_at() -> bool:
        while await transactions.due(100):
            pass
        return len(await late(pool, [known, unknown])) == 2

    await until(looked_at)
    states_now = {one.entity_value: one.state for one in await late(pool, [known, unknown])}
    assert states_now == {"known": "open", "unknown": "expired"}
    assert await pool.fetchval("SELECT count(*) FROM outbox") == before
