"""PATHLINE_HOME: made, checked, and held by one `pathline up` at a time."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pathline.embedded import ports
from pathline.embedded.trouble import Code, TroubleError, from_os_error

HOLD_TRIES = 20
HOLD_PAUSE_SECONDS = 0.05
"""`status` takes the lock for a moment to see whether anybody has it: not taken at once is not yet in use."""
FREE_BYTES_MIN = 300 * 1_048_576
"""A new database and log take 150 MB; less than this and the first hour ends badly."""
FULL_BYTES = 16 * 1_048_576
"""Less than Kafka and PostgreSQL take at a time for a new file: to them a disk with this left is full."""


def cache_directory() -> Path:
    """Where downloads are kept for every home of this user: PATHLINE_CACHE, else the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("PATHLINE_CACHE") or f"{base}/pathline").expanduser().absolute()


def is_full(home: Path) -> bool:
    """Whether a part that ended probably did so for want of room: its log then could not say it."""
    try:
        return shutil.disk_usage(home).free < FULL_BYTES
    except OSError:
        return False


def prepare(home: Path) -> Path:
    """Make `home` and its folders, check that there is room; returns it absolute. Raises TroubleError."""
    home = home.expanduser().absolute()
    try:
        for folder in (home, home / "run", home / "logs", home / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        probe = home / "run" / "probe"
        probe.write_bytes(b"x" * 4_096)
        probe.unlink()
        free = shutil.disk_usage(home).free
    except OSError as problem:
        raise from_os_error(problem, f"write in {home}") from problem
    if free < FREE_BYTES_MIN:
        raise TroubleError(
            Code.NO_SPACE,
            f"The disk of {home} has {free // 1_048_576} MB left and {FREE_BYTES_MIN // 1_048_576} MB are needed. "
            "Free some space, or set PATHLINE_HOME to another disk.",
        )
    return home


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold `home` for this process; the system lets go when it ends, however it ends. Raises TroubleError."""
    path = home / "run" / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(descriptor):
            pid = holder(home)
            raise TroubleError(
                Code.HOME_IN_USE,
                f"{home} is in use by {ports.describe(pid) if pid else 'another `pathline up`'}. "
                "End that, or set PATHLINE_HOME to another directory.",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    for _ in range(HOLD_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(HOLD_PAUSE_SECONDS)
    return False


def holder(home: Path) -> int | None:
    """The process that holds `home`, or None when nobody does."""
    try:
        with (home / "run" / "lock").open("r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
    except OSError:
        return None
    return None
