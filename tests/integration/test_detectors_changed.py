"""Detectors that change while scorers run: deadlines are right in the end, shadows become alerts, what is gone ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pathline.consuming.persistence import Persistence
from pathline.contracts.detector_folder import Folder
from pathline.domain.alerts import Alert
from pathline.kit.health import Health
from pathline.storage import alerts, detectors, sweeps
from services.scorer.judgement import Judge
from services.scorer.keeping import Keeper
from services.scorer.metrics import ScorerMetrics
from services.scorer.settings import ScorerSettings
from services.scorer.sweeping import Sweeper
from services.scorer.transactions import Transactions
from tests.support.scoring import NOW, SLOW, judge, placed

pytestmark = pytest.mark.integration


class Scorer:
    """A scorer's judging, and what keeps it to its files, a step at a time."""

    def __init__(self, pool: asyncpg.Pool[Any], folder: Path, *, batch: int = 2, new: str = "shadow") -> None:
        settings = ScorerSettings(detectors=folder, rejudge_batch=batch, new_detectors=new)
        self.pool = pool
        self.files = Folder(folder)
        loaded = self.files.load()
        self.metrics = ScorerMetrics(CollectorRegistry(), "t", loaded.detectors.files)
        self.judge = Judge(loaded.detectors, ZoneInfo("UTC"), "t", timedelta(minutes=5), 100)
        persistence = Persistence(Health(), self.metrics.failures)
        self.news = asyncio.Event()
        self.transactions = Transactions(pool, self.judge, persistence, self.metrics, self.news)
        self.keeper = Keeper(settings, self.files, self.judge, pool, self.metrics, loaded)
        self.sweeper = Sweeper(settings, self.keeper, self.transactions, pool, self.metrics)

    async def started(self) -> Scorer:
        await self.keeper.adopt()
        await self.keeper.look()
        await self.swept()
        return self

    async def started_without_sweeping(self) -> Scorer:
        await self.keeper.adopt()
        await self.keeper.look()
        return self

    async def reload(self) -> None:
        await self.keeper.look()
        await self.keeper.adopt()

    async def swept(self) -> None:
        while await self.sweeper.step():
            pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "1d")
    return tmp_path


@pytest.fixture
async def clean(pool: asyncpg.Pool[Any]) -> asyncpg.Pool[Any]:
    """The pool, with no detector known yet."""
    await pool.execute(
        "TRUNCATE detector, detector_act, detector_sweep, scorer_process, watch, alert, alert_cause, outbox"
    )
    return pool


def write(folder: Path, patience: str, version: int = 1) -> None:
    (folder / "slow.yaml").write_text(SLOW.format(version=version, patience=patience), encoding="utf-8")


async def order(scorer: Scorer, name: str, hours: float) -> UUID:
    """An order that was placed so long ago, judged."""
    one = placed(name, NOW + timedelta(days=30), at=NOW - timedelta(hours=hours))
    # Nobody waits for its dispatch yet.
    ship_by = (NOW + timedelta(days=20)).isoformat()
    one = msgspec.structs.replace(one, properties={**one.properties, "ship_by": ship_by})
    await judge(scorer.pool, scorer.transactions, [one])
    return one.things[0].id


async def slow(pool: asyncpg.Pool[Any], thing: UUID) -> list[Alert]:
    async with pool.acquire() as db:
        return [a for a in await alerts.list_alerts(db, subjects=[thing], shadow=None) if a.detector == "slow"]


async def sent(pool: asyncpg.Pool[Any], thing: UUID) -> list[str]:
    """What the outbox has of this thing's alerts by `slow`, oldest first."""
    rows = await pool.fetch(
        "SELECT payload FROM outbox o JOIN alert a ON a.id = o.alert_id"
        " WHERE a.entity_id = $1 AND a.detector = 'slow' ORDER BY o.id",
        thing,
    )
    return [msgspec.json.decode(row["payload"])["change"] for row in rows]


async def due(pool: asyncpg.Pool[Any], thing: UUID) -> Any:
    return await pool.fetchval("SELECT due_at FROM watch WHERE id = $1", thing)


async def go(pool: asyncpg.Pool[Any], mode: detectors.Mode) -> bool | None:
    async with pool.acquire() as db, db.transaction():
        return await detectors.set_mode(db, "slow", mode, "sam", "console")


async def quiet(pool: asyncpg.Pool[Any]) -> None:
    """As if nobody had run other rules for long."""
    await pool.execute("UPDATE detector_sweep SET disturbed_at = disturbed_at - interval '10 minutes'")


async def test_a_shortened_threshold_fires_what_is_due_now_and_a_lengthened_one_postpones(
    clean: asyncpg.Pool[Any], folder: Path
) -> None:
    scorer = await Scorer(clean, folder, new="live").started()
    fresh, older = [await order(scorer, f"shortened-{hours}", hours) for hours in (2, 30)]
    assert ([a.state for a in await slow(clean, older)], await slow(clean, fresh)) == (["open"], [])
    placed_at = NOW - timedelta(hours=2)
    assert await due(clean, fresh) == placed_at + timedelta(days=1)
    write(folder, "1h", version=2)
    await scorer.reload()
    await scorer.swept()
    (fired,) = await slow(clean, fresh)
    assert (fired.state, fired.opened_at, fired.detector_version) == ("open", placed_at + timedelta(hours=1), 2)
    write(folder, "2d", version=3)
    await scorer.reload()
    await scorer.swept()
    assert [(a.state, a.resolution) for thing in (fresh, older) for a in await slow(clean, thing)] == [
        ("resolved", "moved"), ("resolved", "moved"),
    ]  # fmt: skip
    assert await due(clean, fresh) == placed_at + timedelta(days=2)


async def test_a_new_detector_has_deadlines_for_what_was_stored_before_and_begins_in_shadow(
    clean: asyncpg.Pool[Any], folder: Path
) -> None:
    (folder / "slow.yaml").rename(folder / "later")
    scorer = await Scorer(clean, folder).started()
    past, ahead = [await order(scorer, f"stored-{hours}", hours) for hours in (30, 2)]
    before = await due(clean, ahead)
    (folder / "later").rename(folder / "slow.yaml")
    await scorer.reload()
    await scorer.swept()
    (shadow,) = await slow(clean, past)
    assert (shadow.state, shadow.shadow, await sent(clean, past)) == ("open", True, [])
    assert await due(clean, ahead) == NOW + timedelta(hours=22) != before
    async with clean.acquire() as db:
        known = await detectors.get(db, "slow")
        acts = await detectors.acts(db, "slow")
        shown = await alerts.list_alerts(db, subjects=[past])
    assert known is not None
    assert (known.mode, known.actor, known.origin, known.file, known.running) == (
        "shadow", "pathline", "file", "slow.yaml", True,
    )  # fmt: skip
    assert [(act.kind, act.actor) for act in acts] == [("shadow", "pathline")]
    assert "slow" not in {a.detector for a in shown}


async def test_what_is_open_in_shadow_is_told_once_when_the_detector_goes_live_and_stays_told_after_it_goes_back(
    clean: asyncpg.Pool[Any], folder: Path
) -> None:
    scorer = await Scorer(clean, folder).started()
    await clean.execute("INSERT INTO endpoint VALUES ('webhook', 'https://receiver.example') ON CONFLICT DO NOTHING")
    things = [await order(scorer, f"trial-{number}", 30) for number in range(5)]
    assert [await sent(clean, thing) for thing in things] == [[]] * 5
    assert await go(clean, "live") is True
    assert await go(clean, "live") is False
    scorer.news.clear()
    await scorer.swept()
    assert scorer.news.is_set()
    assert {tuple(await sent(clean, thing)) for thing in things} == {("opened",) * await _endpoints(clean)}
    await scorer.swept()
    assert {(a.state, a.shadow, a.revision) for thing in things for a in await slow(clean, thing)} == {
        ("open", False, 2)
    }
    assert await go(clean, "shadow") is True
    later = await order(scorer, "trial-later", 30)
    assert [(a.state, a.shadow) for a in await slow(clean, later)] == [("open", True)]
    assert [a.state for a in await slow(clean, things[0])] == ["open"]
    async with clean.acquire() as db:
        acts = await detectors.acts(db, "slow")
        assert await detectors.set_mode(db, "nobody", "live", "sam", "console") is None
    assert [(act.kind, act.actor, act.origin) for act in acts] == [
        ("shadow", "sam", "console"), ("live", "sam", "console"), ("shadow", "pathline", "file"),
    ]  # fmt: skip


async def _endpoints(pool: asyncpg.Pool[Any]) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM endpoint WHERE disabled_at IS NULL"))


async def test_the_alerts_of_a_detector_that_was_taken_away_end_and_open_again_where_it_comes_back(
    clean: asyncpg.Pool[Any], folder: Path
) -> None:
    scorer = await Scorer(clean, folder, new="live").started()
    things = [await order(scorer, f"gone-{number}", 30) for number in range(3)]
    (folder / "slow.yaml").rename(folder / "away")
    await scorer.reload()
    await scorer.swept()
    assert {(a.state, a.resolution) for t in things for a in await slow(clean, t)} == {("resolved", "detector_removed")}
    (folder / "away").rename(folder / "slow.yaml")
    await scorer.reload()
    await scorer.swept()
    assert {(a.state, a.resolution, a.episode) for t in things for a in await slow(clean, t)} == {("open", None, 1)}
    async with clean.acquire() as db:
        assert [act.kind for act in await detectors.acts(db, "slow")] == ["changed", "removed", "live"]


async def test_a_bad_file_resolves_nothing_and_runs_on_as_it_was(clean: asyncpg.Pool[Any], folder: Path) -> None:
    scorer = await Scorer(clean, folder, new="live").started()
    thing = await order(scorer, "bad-1", 30)
    (folder / "slow.yaml").write_text("name: slow\nseverity: [", encoding="utf-8")
    await scorer.reload()
    await scorer.swept()
    assert scorer.metrics.files_bad._value.get() == 1
    assert [a.state for a in await slow(clean, thing)] == ["open"]
    assert [a.state for a in await slow(clean, await order(scorer, "bad-2", 30))] == ["open"]
    # One that starts now has no version before. It runs without the detector, and takes it for neither gone nor its own.
    other = await Scorer(clean, folder, new="live").started()
    await quiet(clean)
    await other.swept()
    assert [a.state for a in await slow(clean, thing)] == ["open"]
    async with clean.acquire() as db:
        listed = await sweeps.scorers(db)
    assert [[(fault["file"], fault["last_good"]) for fault in one.faults] for one in listed] == [
        [("slow.yaml", True)], [("slow.yaml", False)],
    ] or [[fault["last_good"] for fault in one.faults] for one in listed] == [[False], [True]]  # fmt: skip


async def test_a_sweep_that_was_cut_short_goes_on_where_it_was_by_whoever_comes(
    clean: asyncpg.Pool[Any], folder: Path
) -> None:
    one = await Scorer(clean, folder, new="live").started()
    things = [await order(one, f"cut-{number}", 2) for number in range(7)]
    write(folder, "1h")
    await one.reload()
    other = await Scorer(clean, folder, new="live").started_without_sweeping()
    assert await one.sweeper.step()
    # The lease is the first one's while it lives.
    judged = await judged_so_far(clean)
    await other.sweeper.step()
    assert await judged_so_far(clean) == judged == 2
    await clean.execute("UPDATE detector_sweep SET leased_until = clock_timestamp() - interval '1 second'")
    await other.swept()
    assert await judged_so_far(clean) == await clean.fetchval("SELECT count(*) FROM watch") >= len(things)
    assert [a.state for thing in things for a in await slow(clean, thing)] == ["open"] * 7
    async with clean.acquire() as db:
        standing = await sweeps.standing(db)
    assert standing is not None
    assert (standing.share, standing.finished_at is not None) == (1.0, True)


async def judged_so_far(pool: asyncpg.Pool[Any]) -> int:
    return int(await pool.fetchval("SELECT judged FROM detector_sweep"))


async def test_after_another_scorer_ran_other_files_everything_is_judged_again(
    clean: asyncpg.Pool[Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old = await Scorer(clean, folder, new="live").started()
    newer = tmp_path_factory.mktemp("newer")
    write(newer, "1h")
    new = await Scorer(clean, newer, new="live").started()
    # The old one does not know yet, and judges by what it has: a day.
    thing = await order(old, "disturbed", 2)
    await old.keeper._beat()
    assert old.metrics.out_of_step._value.get() == 1
    await new.swept()
    assert await slow(clean, thing) == []
    write(folder, "1h")
    await old.reload()
    await new.swept()
    assert await slow(clean, thing) == []
    await quiet(clean)
    await clean.execute("UPDATE detector_sweep SET started_at = started_at - interval '10 minutes'")
    await new.swept()
    assert [a.state for a in await slow(clean, thing)] == ["open"]
    await old.keeper._beat()
    assert old.metrics.out_of_step._value.get() == 0
