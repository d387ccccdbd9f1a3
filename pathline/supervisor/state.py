"""What a running `up` leaves for `status` and for itself: `run/state.json`, written in one step."""

import os
from pathlib import Path
from typing import Literal

import msgspec

State = Literal["waiting", "starting", "ready", "not ready", "dead", "stopped"]


class PartState(msgspec.Struct, frozen=True):
    """One part as it was last seen. `pid` is None for a part that somebody else runs."""

    name: str
    address: str
    pid: int | None
    state: State
    reason: str | None
    log: str | None
    restarts: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """All parts of one `up`; `ready` once every one of them has been and is."""

    supervisor: int
    ready: bool
    parts: tuple[PartState, ...]
    kafka: str | None = None
    demo: bool = False


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a small file in one step, readable by `mode`."""
    step = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(step, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    step.replace(path)


def write(home: Path, snapshot: Snapshot) -> None:
    """Leave `snapshot` for `status`. Raises OSError."""
    write_text(home / "run" / "state.json", msgspec.json.encode(snapshot).decode(), 0o644)


def read(home: Path) -> Snapshot | None:
    """What the last `up` left, whether it still runs or not."""
    try:
        return msgspec.json.decode((home / "run" / "state.json").read_bytes(), type=Snapshot)
    except (OSError, msgspec.DecodeError):
        return None
