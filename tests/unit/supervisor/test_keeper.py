"""A part is started, watched and started again, whatever ends it; and it is said in few words."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pathline.embedded import home as homes
from pathline.embedded.processes import Launch
from pathline.embedded.trouble import Code, TroubleError
from pathline.supervisor import keeper as keepers
from pathline.supervisor.backoff import Backoff
from pathline.supervisor.keeper import Keeper

WAIT_SECONDS = 10.0
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
FAILS = "import sys; print('no luck'); sys.exit(3)"


class FakePart:
    """A part whose program and health a test sets."""

    name = "fake"
    start_seconds = 5.0
    stop_seconds = 5.0
    address = "nowhere"

    def __init__(self, home: Path, program: str) -> None:
        self.home = home
        self.program = program
        self.reason: str | None = None
        self.trouble: Exception | None = None
        self.prepared = 0

    async def prepare(self) -> None:
        self.prepared += 1
        if self.trouble is not None:
            raise self.trouble

    def launch(self) -> Launch:
        return Launch(argv=[sys.executable, "-c", self.program], cwd=self.home)

    async def unready(self) -> str | None:
        return self.reason


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder in ("run", "logs"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(keepers, "PROBE_STARTING_SECONDS", 0.005)
    monkeypatch.setattr(keepers, "PROBE_READY_SECONDS", 0.005)
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)


@contextlib.asynccontextmanager
async def running(keeper: Keeper) -> AsyncIterator[asyncio.Task[None]]:
    """Keep until the block ends; then nothing of it may be left."""
    task = asyncio.create_task(keeper.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await keeper.stop()
        assert keeper.child.pid is None


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_part_that_was_killed_is_started_again_and_it_is_said(home: Path, said: list[str]) -> None:
    keeper = Keeper(FakePart(home, SLEEPER), home, say=said.append)
    async with running(keeper):
        await until(lambda: keeper.ready)
        first = keeper.child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        # It is ready until its end is noticed, so that alone would say nothing.
        await until(lambda: keeper.restarts == 1 and keeper.ready)
        assert keeper.child.pid not in {None, first}
    assert any("ended by signal 9" in line and "starting again in" in line for line in said)
    assert sum("ready on nowhere" in line for line in said) == 2


async def test_the_same_end_again_and_again_is_told_once_then_counted(home: Path, said: list[str]) -> None:
    part = FakePart(home, FAILS)
    part.reason = "starting"
    keeper = Keeper(part, home, say=said.append)
    async with running(keeper):
        await until(lambda: keeper.restarts >= 3)
    assert sum("no luck" in line for line in said) == 1
    assert any("ended as before, 3 times by now" in line for line in said)


async def test_its_last_words_are_shown(home: Path, said: list[str]) -> None:
    part = FakePart(home, FAILS)
    part.reason = "starting"
    keeper = Keeper(part, home, say=said.append, must_start=True)
    with pytest.raises(TroubleError, match=r"fake ended with status 3; log: .*fake\.log\nno luck") as raised:
        await keeper.run()
    assert raised.value.code == Code.PART_FAILED


async def test_what_a_person_must_put_right_ends_the_start(home: Path, said: list[str]) -> None:
    part = FakePart(home, SLEEPER)
    part.trouble = TroubleError(Code.PORT_IN_USE, "taken")
    with pytest.raises(TroubleError, match="taken"):
        await Keeper(part, home, say=said.append).run()


async def test_a_directory_of_somebody_else_has_its_own_code(home: Path, said: list[str]) -> None:
    part = FakePart(home, SLEEPER)
    part.trouble = PermissionError(13, "Permission denied", "/data")
    with pytest.raises(TroubleError, match="Permission denied: /data") as raised:
        await Keeper(part, home, say=said.append, must_start=True).run()
    assert raised.value.code == Code.HOME_NOT_WRITABLE


async def test_trouble_after_it_was_ready_is_waited_out(home: Path, said: list[str]) -> None:
    part = FakePart(home, SLEEPER)
    keeper = Keeper(part, home, say=said.append)
    async with running(keeper):
        await until(lambda: keeper.ready)
        part.trouble = TroubleError(Code.PORT_IN_USE, "taken by another")
        first = keeper.child.pid
        keeper.child.kill()
        await until(lambda: part.prepared >= 3)
        part.trouble = None
        await until(lambda: keeper.ready and keeper.child.pid != first)
    assert any("taken by another" in line for line in said)


async def test_one_that_is_not_ready_says_why_now_and_then(
    home: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "WAITING_SAID_SECONDS", 0.05)
    part = FakePart(home, SLEEPER)
    part.reason = "no partition yet"
    keeper = Keeper(part, home, say=said.append)
    async with running(keeper):
        await until(lambda: said.count("fake: not ready yet: no partition yet") >= 2)
        assert keeper.state().state == "starting"
        part.reason = None
        await until(lambda: keeper.ready)
        part.reason = "lost it"
        await until(lambda: keeper.state().state == "not ready")
        assert keeper.state().reason == "lost it"


async def test_a_full_disk_is_said_for_the_part_that_could_not(
    home: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "is_full", lambda _home: True)
    part = FakePart(home, FAILS)
    part.reason = "starting"
    with pytest.raises(TroubleError, match="the disk is full: free some space") as raised:
        await Keeper(part, home, say=said.append, must_start=True).run()
    assert raised.value.code == Code.NO_SPACE
