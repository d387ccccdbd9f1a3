"""Resolve the dependencies and pin them by hash, for Python 3.11 and newer on every system, with no index address.

Writes requirements.lock (what runs), requirements-dev.lock (and what checks it) and requirements-bootstrap.lock (uv
and what builds the project).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

UV = Path(sys.executable).with_name("uv")
COMPILE = (
    str(UV),
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--upgrade",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--custom-compile-command=make lock",
)

BOOTSTRAP = ("uv", "hatchling", "editables")


def compile_lock(output: str, *source: str) -> None:
    """Write one lock."""
    subprocess.run([*COMPILE, *source, "--output-file", output], check=True)


def pinned(lock: str, package: str) -> str:
    """`package==version` as a lock has it."""
    lines = Path(lock).read_text(encoding="utf-8").splitlines()
    return next(line.split()[0] for line in lines if line.startswith(f"{package}=="))


def main() -> None:
    """Write all three, so that they agree."""
    compile_lock("requirements-dev.lock", "pyproject.toml", "--group", "dev")
    compile_lock("requirements.lock", "pyproject.toml", "--constraint", "requirements-dev.lock")
    with tempfile.TemporaryDirectory() as work:
        wanted = Path(work) / "bootstrap.in"
        own = (pinned("requirements-dev.lock", package) for package in BOOTSTRAP)
        wanted.write_text("\n".join(own) + "\n", encoding="utf-8")
        compile_lock("requirements-bootstrap.lock", str(wanted), "--constraint", "requirements-dev.lock")


if __name__ == "__main__":
    main()
