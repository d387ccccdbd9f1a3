"""PATHLINE_HOME: made, checked for room, and held by one process at a time."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from pathline.embedded import home as homes
from pathline.embedded.trouble import Code, TroubleError

HOLD = (
    "import sys, time; from pathlib import Path; from pathline.embedded.home import hold\n"
    "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_it_is_made_with_its_folders(tmp_path: Path) -> None:
    home = homes.prepare(tmp_path / "a b" / "home")
    assert home.is_absolute()
    assert {path.name for path in home.iterdir()} == {"run", "logs", "data"}
    assert not list((home / "run").iterdir())


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100, 99, homes.FREE_BYTES_MIN - 1))
    with pytest.raises(TroubleError, match="299 MB left and 300 MB are needed") as raised:
        homes.prepare(tmp_path)
    assert raised.value.code == Code.NO_SPACE


@pytest.mark.parametrize(
    ("number", "code"),
    [(28, Code.NO_SPACE), (122, Code.NO_SPACE), (30, Code.HOME_NOT_WRITABLE), (13, Code.HOME_NOT_WRITABLE)],
)
def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: Code) -> None:
    def refuse(path: Path, _content: bytes) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(TroubleError, match=str(tmp_path)) as raised:
        homes.prepare(tmp_path)
    assert raised.value.code == code


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TroubleError) as raised:
            homes.prepare(home)
        assert raised.value.code == Code.HOME_NOT_WRITABLE


def test_one_at_a_time_and_it_is_said_who(tmp_path: Path) -> None:
    home = homes.prepare(tmp_path)
    assert homes.holder(home) is None
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert homes.holder(home) == other.pid
        with pytest.raises(TroubleError, match=f"in use by process {other.pid} ") as raised, homes.hold(home):
            pytest.fail("held twice")
        assert raised.value.code == Code.HOME_IN_USE
        other.send_signal(signal.SIGKILL)
    with homes.hold(home):
        assert homes.holder(home) == os.getpid()
    assert homes.holder(home) is None


def test_one_who_only_looks_does_not_keep_anybody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = homes.prepare(tmp_path)
    with (home / "run" / "lock").open("w", encoding="utf-8") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _seconds: fcntl.flock(looking, fcntl.LOCK_UN))
        with homes.hold(home):
            pass


def test_where_downloads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATHLINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert homes.cache_directory() == Path("/cache/pathline")
    monkeypatch.setenv("PATHLINE_CACHE", "/elsewhere")
    assert homes.cache_directory() == Path("/elsewhere")
