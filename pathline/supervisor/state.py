"""What a running `up` leaves for `status` and for itself: `run/state.json`, written in one step."""

from pathlib import Path
from typing import Literal

import msgspec

from pathline.kit.files import write_whole

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


def write(home: Path, snapshot: Snapshot) -> None:
    """Leave `snapshot` for `status`. Raises OSError."""
    write_whole(home / "run" / "state.json", msgspec.json.encode(snapshot), 0o644)


def read(home: Path) -> Snapshot | None:
    """What the last `up` left, whether it still runs or not."""
    try:
        return msgspec.json.decode((home / "run" / "state.json").read_bytes(), type=Snapshot)
    except (OSError, msgspec.DecodeError):
        return None
