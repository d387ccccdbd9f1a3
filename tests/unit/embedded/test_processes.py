"""Child processes: recorded, ended in order or at once, found again after a kill, never confused with another."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pathline.embedded import processes
from pathline.embedded.launch import CAP_DAC_OVERRIDE
from pathline.embedded.processes import Child, Launch
from pathline.embedded.trouble import Code, TroubleError

WAIT_SECONDS = 10.0
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
    " start_new_session=True); print('child', child.pid, flush=True); time.sleep(60)"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder in ("run", "logs"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def child(home: Path) -> Iterator[Child]:
    started = Child("part", home)
    yield started
    started.kill()
    if started._process is not None:
        started._process.wait(WAIT_SECONDS)


def python(home: Path, program: str) -> Launch:
    return Launch(argv=[sys.executable, "-c", program], cwd=home)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_ends_as_it_is_asked_and_leaves_no_record(home: Path, child: Child) -> None:
    child.start(python(home, SLEEP))
    await until(lambda: child.last_words() == "up")
    assert processes.read_record(home / "run" / "part.pid") is not None
    assert await child.end(WAIT_SECONDS)
    assert child.status == -signal.SIGTERM
    assert not list((home / "run").iterdir())


async def test_one_that_does_not_listen_is_killed(home: Path, child: Child) -> None:
    child.start(python(home, STUBBORN))
    await until(lambda: child.last_words() == "up")
    assert not await child.end(0.1)
    assert child.status == -signal.SIGKILL


async def test_a_kill_ends_those_it_started_too(home: Path, child: Child) -> None:
    child.start(python(home, FAMILY))
    await until(lambda: child.last_words().startswith("child"))
    grandchild = psutil.Process(int(child.last_words().split()[1]))
    child.kill()
    assert grandchild.wait(WAIT_SECONDS) is None


async def test_it_ends_when_the_one_that_started_it_is_killed(home: Path) -> None:
    """The promise of `launch`: a killed `up` leaves nothing, without anybody's help."""
    if not sys.platform.startswith("linux"):
        return  # elsewhere the next start ends what was left, which is tested below
    program = (
        "import sys, time; from pathlib import Path; from pathline.embedded.processes import Child, Launch\n"
        f"home = Path({str(home)!r}); child = Child('part', home)\n"
        f"child.start(Launch(argv=[sys.executable, '-c', {SLEEP!r}], cwd=home)); time.sleep(60)"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await until(lambda: processes.last_words(home / "logs" / "part.log") == "up")
    found = processes.read_record(home / "run" / "part.pid")
    assert found is not None
    parent.kill()
    await parent.wait()
    await until(lambda: not found[0].is_running() or found[0].status() == psutil.STATUS_ZOMBIE)


async def test_the_next_start_ends_what_was_left(home: Path, child: Child) -> None:
    child.start(python(home, SLEEP))
    assert processes.end_left_behind(home / "run") == ["part"]
    assert not child.running
    assert not list((home / "run").iterdir())


async def test_a_process_with_the_same_id_is_not_touched(home: Path, child: Child) -> None:
    child.start(python(home, SLEEP))
    record = home / "run" / "part.pid"
    known = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**known, "created": known["created"] - 60}), encoding="utf-8")
    assert processes.end_left_behind(home / "run") == []
    assert child.running


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}', '{"pid": -1, "created": 0, "stop_signal": 15}'])
def test_a_record_that_cannot_be_read_tells_of_nothing(home: Path, text: str) -> None:
    (home / "run" / "part.pid").write_text(text, encoding="utf-8")
    assert processes.end_left_behind(home / "run") == []


def test_what_another_user_runs_has_a_word(home: Path, child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: psutil.Process, _signal: int) -> None:
        raise psutil.AccessDenied(process.pid)

    child.start(python(home, SLEEP))
    monkeypatch.setattr(psutil.Process, "send_signal", refuse)
    with pytest.raises(TroubleError, match="part, left running by the last start") as raised:
        processes.end_left_behind(home / "run")
    assert raised.value.code == Code.NOT_ALLOWED


async def test_last_words_are_of_this_life_alone(home: Path, child: Child) -> None:
    for word in ("one", "two"):
        child.start(python(home, f"print('{word}')"))
        await until(lambda: not child.running)
    assert child.last_words() == "two"


def test_a_log_is_turned_once_it_is_large(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 10)
    assert not processes.turn_log(log, 10)
    assert processes.turn_log(log, 9)
    assert log.read_bytes() == b""
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 10
    assert not processes.turn_log(tmp_path / "none.log", 9)


def test_on_a_full_disk_a_log_is_cut_without_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 10)
    monkeypatch.setattr(shutil, "copyfile", full)
    assert processes.turn_log(log, 9)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"] and log.read_bytes() == b""


def test_a_program_run_to_its_end_gives_its_last_words_when_it_failed(tmp_path: Path) -> None:
    assert processes.run_to_end(python(tmp_path, "print('fine')"), WAIT_SECONDS) is None
    assert processes.run_to_end(python(tmp_path, "import sys; print('bad'); sys.exit(1)"), WAIT_SECONDS) == "bad"
    assert processes.run_to_end(python(tmp_path, "import sys; sys.exit(4)"), WAIT_SECONDS) == "status 4"
    began = time.monotonic()
    assert processes.run_to_end(python(tmp_path, SLEEP), 0.2) == "not done after 0.2 s"
    assert time.monotonic() - began < WAIT_SECONDS


def test_what_changes_python_or_java_is_not_passed_on(
    home: Path, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLASSPATH", "/elsewhere")
    monkeypatch.setenv("PATHLINE_ZONE", "Europe/Berlin")
    said = processes.run_to_end(
        python(home, "import os, sys; sys.exit(str((os.environ.get('CLASSPATH'), os.environ['PATHLINE_ZONE'])))"), 10
    )
    assert said == "(None, 'Europe/Berlin')"
    assert os.environ["CLASSPATH"] == "/elsewhere"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_who_root_becomes_may_pass_its_directories_and_do_nothing_else_of_its_own(tmp_path: Path) -> None:
    """PostgreSQL looks for its programs by access(2), which goes by the real user: they may lie under /root."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    program = private / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    words = f"test -x '{program}' && echo found; grep CapEff /proc/self/status; id -u"
    launch = Launch(argv=["/bin/sh", "-c", words], cwd=tmp_path, user=(65_534, 65_534), keep_access=True)
    said = subprocess.run(launch.command(), capture_output=True, text=True, check=True).stdout
    assert said.split() == ["found", "CapEff:", f"{1 << CAP_DAC_OVERRIDE:016x}", "65534"]
