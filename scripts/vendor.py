"""Fetch the console's front-end files (and the browser tests' axe) from npm packages and pin each by its hash.

Writes the files, the sprite of icons and a MANIFEST.json beside them; a test holds every file to its manifest.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CONSOLE = ROOT / "services" / "console" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"
MANIFEST = "MANIFEST.json"

ICONS = (
    "alarm-clock", "arrow-left", "ban", "check", "circle-check", "circle-user-round",
    "clock", "diamond", "hand", "history", "inbox", "info", "keyboard", "log-out", "message-square", "octagon-alert",
    "package", "route", "search", "shopping-bag", "triangle-alert", "user-round", "x",
)  # fmt: skip
"""Those that the templates use."""


class Package(NamedTuple):
    """An npm package at a version, what is taken of it, and where that goes."""

    name: str
    version: str
    licence: str
    folder: Path
    files: dict[str, str]
    """Path in the package -> our name."""


PACKAGES = (
    Package("htmx.org", "2.0.11", "0BSD", CONSOLE, {"dist/htmx.min.js": "htmx.min.js"}),
    Package("idiomorph", "0.8.0", "0BSD", CONSOLE, {"dist/idiomorph-ext.min.js": "idiomorph-ext.min.js"}),
    Package("axe-core", "4.14.1", "MPL-2.0", TESTS, {"axe.min.js": "axe.min.js"}),
)
LUCIDE = Package("lucide-static", "1.62.0", "ISC", CONSOLE, {f"icons/{name}.svg": name for name in ICONS})

Entry = dict[str, str]


def fetch(package: Package, work: Path) -> dict[str, bytes]:
    """The wanted files of a package by our names; npm checks the archive against the registry's hash."""
    wanted = f"{package.name}@{package.version}"
    subprocess.run(
        [shutil.which("npm") or "npm", "pack", "--silent", wanted, "--pack-destination", str(work)],
        check=True,
        capture_output=True,
    )
    (archive,) = work.glob(f"{package.name.replace('/', '-')}-*.tgz")
    found = {}
    with tarfile.open(archive) as tar:
        for path, name in package.files.items():
            member = tar.extractfile(f"package/{path}")
            if member is None:
                message = f"{package.name} has no {path}"
                raise FileNotFoundError(message)
            found[name] = member.read()
    return found


def sprite(icons: dict[str, bytes]) -> bytes:
    """One file with a symbol for each icon."""
    symbols = []
    for name, data in sorted(icons.items()):
        drawn = re.search(r"<svg[^>]*>(.*)</svg>", data.decode(), re.DOTALL)
        if drawn is None:
            message = f"{name} is no drawing"
            raise ValueError(message)
        inner = " ".join(drawn[1].split())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
            f'stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    body = "\n".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{body}\n</svg>\n'.encode()


def main() -> None:
    """Write every file and both manifests."""
    manifests: dict[Path, dict[str, Entry]] = {CONSOLE: {}, TESTS: {}}
    with tempfile.TemporaryDirectory() as work:
        for package in (*PACKAGES, LUCIDE):
            files = fetch(package, Path(work))
            if package is LUCIDE:
                files = {"icons.svg": sprite(files)}
            package.folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (package.folder / name).write_bytes(data)
                manifests[package.folder][name] = {
                    "package": package.name,
                    "version": package.version,
                    "licence": package.licence,
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
    for folder, entries in manifests.items():
        (folder / MANIFEST).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
