"""Small files: whole or not there, and for whom."""

import threading
from pathlib import Path

import pytest

from pathline.kit.files import write_whole

LONG = "x" * 100_000


def test_a_secret_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(0o644)
    write_whole(path, "x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_who_reads_meanwhile_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "record"
    write_whole(path, LONG)
    done = threading.Event()

    def write() -> None:
        for turn in range(200):
            write_whole(path, f"{turn % 10}" * len(LONG))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(path.read_text(encoding="utf-8"))
    writer.join()
    assert seen
    assert all(len(text) == len(LONG) and len(set(text)) == 1 for text in seen)
    assert [one.name for one in tmp_path.iterdir()] == ["record"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "record"
    write_whole(path, b"old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_bytes() == b"old"
