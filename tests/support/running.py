"""`pathline` as a person runs it: a process with an environment, an output and an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

import httpx
import psutil

PROGRAM = [sys.executable, "-m", "pathline.cli"]
READY = "pathline is ready"
START_SECONDS = 100.0
"""With every core busy with other tests; alone it takes a tenth."""
END_SECONDS = 60.0


def until(condition: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """Wait until `condition` gives something true and return that; fail, saying `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)
    return value


def free_addresses() -> dict[str, str]:
    """Settings with which several `up` can run on one machine."""
    names = ("COLLECTOR", "CONSOLE", "STITCHER", "SCORER", "SHOP")
    return {f"PATHLINE_{name}": "127.0.0.1:0" for name in names} | {"PATHLINE_KAFKA_PORT": "0"}


def run(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, "PATHLINE_HOME": str(home), **free_addresses(), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=END_SECONDS,
    )


class Up:
    """One `pathline up` on `home`, its output in a file; end it, or use it as a context manager."""

    def __init__(self, home: Path, *arguments: str, command: Sequence[str] = PROGRAM, **env: str) -> None:
        """Start it."""
        self.home = home
        home.parent.mkdir(parents=True, exist_ok=True)
        self._out = (home.parent / "up.out").open("ab+")
        self._from = self._out.seek(0, os.SEEK_END)
        self.process = subprocess.Popen(
            [*command, "up", *arguments],
            env={**os.environ, "PATHLINE_HOME": str(home), **free_addresses(), **env},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        """Nothing more: it was started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, whatever the test did."""
        self.end_at_once()

    @property
    def output(self) -> str:
        """What it has printed."""
        file: IO[bytes] = self._out
        with Path(file.name).open("rb") as reading:
            reading.seek(self._from)
            return reading.read().decode()

    def wait_for(self, text: str, seconds: float = START_SECONDS, *, times: int = 1) -> None:
        """Wait until it has printed `text` so often."""
        until(lambda: self.output.count(text) >= times or self.process.poll() is not None, seconds, lambda: self.output)
        assert self.output.count(text) >= times, self.output

    def wait_ready(self) -> None:
        """Wait for the line that says so."""
        until(
            lambda: READY in self.output.splitlines() or self.process.poll() is not None,
            START_SECONDS,
            lambda: self.output,
        )
        assert READY in self.output.splitlines(), self.output

    def status(self) -> dict[str, Any]:
        """`pathline status --json` once all are ready, by part."""
        seen = json.loads(run(self.home, "status", "--wait", "30", "--json").stdout)
        return {part["name"]: part for part in seen["parts"]} | {"all": seen}

    def pids(self) -> dict[str, int]:
        """The process id of each part."""
        found = {}
        for path in (self.home / "run").glob("*.pid"):
            with suppress(FileNotFoundError):  # its part has just ended
                found[path.stem] = int(json.loads(path.read_text(encoding="utf-8"))["pid"])
        return found

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(END_SECONDS)
        self._out.close()
        return status

    def end_at_once(self) -> None:
        """Kill it and all it started."""
        family = relatives(self.home)
        self.process.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(END_SECONDS)
        psutil.wait_procs(family, END_SECONDS)
        self._out.close()

    def post(self, event: str, **body: Any) -> httpx.Response:
        """A `track` with the demo's key, to the collector that `status` names."""
        address = self._address("ingest")
        return httpx.post(
            f"http://{address}/v1/track", json={"event": event, **body}, auth=("demo", ""), trust_env=False
        )

    def ask(self, path: str, **query: str) -> httpx.Response:
        """A GET of the console's API."""
        token = (self.home / "api-token").read_text(encoding="utf-8").strip()
        return httpx.get(
            f"http://{self._address('console')}/api/v1{path}",
            params=query,
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )

    def _address(self, name: str) -> str:
        state = json.loads((self.home / "run" / "state.json").read_text(encoding="utf-8"))
        return str(next(part["address"] for part in state["parts"] if part["name"] == name))


def relatives(home: Path) -> list[psutil.Process]:
    """Every process that works for `home`: by its environment, its arguments or the directory it is in."""
    found = []
    for process in psutil.process_iter():
        try:
            words: Mapping[str, str] = process.environ()
            where = (words.get("PATHLINE_HOME", ""), process.cwd(), *process.cmdline())
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(home) in word for word in where):
            found.append(process)
    return found


def assert_nothing_left(home: Path, seconds: float = END_SECONDS) -> None:
    """Fail when a process of `home` does not end in time."""
    until(lambda: not relatives(home), seconds, lambda: f"left behind: {[p.cmdline()[:4] for p in relatives(home)]}")
