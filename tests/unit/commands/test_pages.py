"""The README names every command, and ARCHITECTURE every folder of code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from pathline import cli

ROOT = Path(__file__).parents[3]
COMMANDS = typer.main.get_command(cli.make_app(cli.COMMANDS)).commands  # type: ignore[attr-defined]
SHOP = {"demo"}
"""`pathline up --demo` runs it."""


def _named() -> dict[str, set[str]]:
    """The commands of the README's table, each with the words that may follow it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("## Commands", 1)[1].split("\n## ", 1)[0]
    named: dict[str, set[str]] = {}
    for line in table.splitlines():
        for code in re.findall(r"`([^`]*)`", line.replace("\\|", "/").split("|")[1] if line.startswith("| `") else ""):
            name, _, rest = code.removeprefix("pathline ").partition(" ")
            named[name] = set(rest.split("/")) if re.fullmatch(r"[a-z/-]+", rest) else set()
    return named


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - SHOP))
def test_the_readme_names_each_command(name: str) -> None:
    named = _named()
    assert name in named
    assert named[name] == set(getattr(COMMANDS[name], "commands", ()))


def test_the_readme_names_no_other() -> None:
    assert _named().keys() <= COMMANDS.keys()


def test_the_map_names_each_folder_of_code() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE)
    told = {name.rstrip("/*") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    made = [init.parent for places in ("pathline/*", "services/*/*") for init in ROOT.glob(f"{places}/__init__.py")]
    folders = {str(folder.relative_to(ROOT)) for folder in made}
    assert {"pathline/domain", "services/ingest/dialects"} < folders
    assert folders - told == set()
