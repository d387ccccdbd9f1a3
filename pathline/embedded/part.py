"""What the supervisor and the tests know of an embedded server."""

from pathlib import Path
from typing import Protocol

from pathline.embedded.processes import Launch


class Part(Protocol):
    """One process to run: `prepare`, then `launch`, as often as it must be started."""

    name: str
    start_seconds: float
    """How long it may take until it is ready before something is wrong."""
    stop_seconds: float
    """How long it may take to end after it was asked to."""

    @property
    def address(self) -> str:
        """Where it answers, for a person."""

    async def prepare(self) -> None:
        """Make or check what it needs to start. Raises TroubleError or OSError."""

    def launch(self) -> Launch:
        """What to run."""

    async def unready(self) -> str | None:
        """Why it is not ready, or None when it is. Never raises."""


def version_file_text(path: Path) -> str | None:
    """The text of a small file that records a version, or None without one."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
