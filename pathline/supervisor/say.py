"""What `up` tells the person in front of it: lines; on a terminal also what is going on now."""

import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

PROGRESS_STEP = 0.25
"""Where there is no terminal, a download says so at each quarter."""


class Reporter:
    """Prints lines at once. Nobody reading (a closed pipe, a full disk) is no reason to stop working."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to standard output, or to `console`."""
        self._console = console or Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._status: Status | None = None
        self._said_share = -1.0

    def __enter__(self) -> Self:
        """Start showing what is going on, where that can be shown."""
        if self._console.is_terminal:
            self._status = self._console.status("Starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing it."""
        self.settle()

    def line(self, text: str) -> None:
        """One line, written out at once."""
        with suppress(OSError, ValueError):
            self._console.print(text)
            self._console.file.flush()

    def plain(self, text: str) -> None:
        """One line without any decoration, for scripts that look for it."""
        with suppress(OSError, ValueError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def now(self, text: str) -> None:
        """What is going on now; only a terminal shows it."""
        if self._status is not None:
            with suppress(OSError, ValueError):
                self._status.update(text)

    def download(self, done: int, files: int, bytes_done: int) -> None:
        """How far the jars are; the first and only download is the longest part of a first start."""
        text = f"Kafka: fetching its files, once: {done} of {files}, {bytes_done / 1_048_576:.1f} MB"
        if self._status is not None:
            self.now(text)
        share = done / files
        due = (done == 0 and self._said_share < 0) or (done == files and self._said_share < 1)
        if due or (self._status is None and share >= max(self._said_share, 0) + PROGRESS_STEP):
            self._said_share = share
            self.line(text)

    def settle(self) -> None:
        """From here on only lines."""
        if self._status is not None:
            with suppress(OSError, ValueError):
                self._status.stop()
            self._status = None
