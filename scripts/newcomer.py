"""Measure what a newcomer waits for: a fresh clone with cold caches, `make run`, the first alert; then a second start.

Run it by hand (`make newcomer`): it downloads everything anew, into a folder that it removes at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
READY = "pathline is ready"
LONGEST_SECONDS = 900.0
PORTS = ("COLLECTOR", "CONSOLE", "STITCHER", "SCORER", "SHOP")


def environment(home: Path) -> dict[str, str]:
    """This one, with no cache of anybody's and with free ports."""
    dropped = {"VIRTUAL_ENV", "UV_CACHE_DIR", "PIP_CACHE_DIR", "PATHLINE_HOME", "PATHLINE_CACHE"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    ports = {f"PATHLINE_{name}": "127.0.0.1:0" for name in PORTS}
    return {**kept, **ports, "PATHLINE_KAFKA_PORT": "0", "XDG_CACHE_HOME": str(home / "cache"), "PIP_NO_CACHE_DIR": "1"}


@contextmanager
def running(clone: Path, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make run` in the clone; ended as Ctrl-C would."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["make", "run"],  # noqa: S607 - the make of whoever measures
            cwd=clone,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait(process: subprocess.Popen[bytes], log: Path, holds: Callable[[], bool], what: str) -> None:
    """Until it holds. Raises SystemExit, with the last words of `make run`, when it ends first or takes too long."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"not so: {what}\n{log.read_text(encoding='utf-8', errors='replace')[-2_000:]}")
        time.sleep(0.1)


def alerted(clone: Path, env: dict[str, str]) -> bool:
    """Whether the API tells of a late delivery."""
    told = subprocess.run(
        [clone / ".venv/bin/pathline", "status", "--json"], cwd=clone, env=env, capture_output=True, check=False
    ).stdout
    (console,) = [part["address"] for part in json.loads(told)["parts"] if part["name"] == "console"]
    token = (clone / ".pathline/api-token").read_text(encoding="utf-8").strip()
    request = urllib.request.Request(
        f"http://{console}/api/v1/alerts?detector=late_vs_promise", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - the same
        return bool(json.load(answer)["items"])


def main() -> None:
    """Measure, and print the seconds since the beginning of each start."""
    folder = Path(tempfile.mkdtemp(prefix="pathline newcomer "))
    clone, log, env = folder / "pathline", folder / "up.log", environment(folder)
    try:
        begun = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)  # noqa: S607 - as above
        for start in ("first", "second"):
            with running(clone, env, log) as process:
                for what, holds in (
                    ("set up, starting", lambda: b"at home in" in log.read_bytes()),
                    (READY, lambda: READY.encode() in log.read_bytes()),
                    ("first late delivery alerted", lambda: alerted(clone, env)),
                ):
                    wait(process, log, holds, what)
                    sys.stdout.write(f"{start} start: {what} after {time.monotonic() - begun:.0f} s\n")
                    sys.stdout.flush()
                    if start == "second" and what == READY:
                        break
            begun = time.monotonic()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
