"""The front end's files: vendored as pinned, none from elsewhere, nothing that the content policy would stop."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from services.console.pages import inbox, render, signing, words
from services.console.pages.listing import Filter

CONSOLE = render.FOLDER
FOLDERS = (render.STATIC / "vendor", Path(__file__).parents[2] / "browser" / "vendor")
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))
SCRIPTS = sorted(render.STATIC.glob("*.js"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parts[-3])
def test_every_vendored_file_is_the_one_that_was_pinned(folder: Path) -> None:
    manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))
    assert manifest.keys() == {path.name for path in folder.iterdir()} - {"MANIFEST.json"}
    for name, entry in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"], name
        assert entry["package"] and entry["version"] and entry["licence"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_what_the_policy_stops_or_trusts_what_people_wrote(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|hx-on|javascript:|<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"(src|href)=[\"']https?://", text)
    # `safe` stands once, behind a text of the template's own.
    assert text.count("| safe") == (1 if template.name == "marks.html" else 0)


def test_no_script_makes_markup_or_code_out_of_data() -> None:
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function|insertAdjacentHTML|document\.write", text), script.name
        assert all("${" not in line for line in text.splitlines() if "innerHTML" in line), script.name


def test_every_icon_that_a_template_draws_is_in_the_sprite() -> None:
    sprite = (render.STATIC / "vendor" / "icons.svg").read_text(encoding="utf-8")
    held = set(re.findall(r'<symbol id="([a-z-]+)"', sprite))
    drawn = {name for path in TEMPLATES for name in re.findall(r'icon\("([a-z-]+)"', path.read_text(encoding="utf-8"))}
    drawn |= set(words.SEVERITY_ICONS.values())
    assert drawn == held


def test_the_script_and_the_server_say_now_for_the_same_times() -> None:
    script = (render.STATIC / "times.js").read_text(encoding="utf-8")
    assert f"const NOW_SECONDS = {words.NOW_SECONDS};" in script


def test_the_script_asks_for_as_many_alerts_as_the_server_answers() -> None:
    script = (render.STATIC / "live.js").read_text(encoding="utf-8")
    assert f"const MOST_IDS = {inbox.MAX_ASKED};" in script


@pytest.mark.parametrize("path", [None, "", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb"])
def test_signing_in_leads_nowhere_else(path: str | None) -> None:
    assert render.safe_path(path) == "/"


def test_signing_in_leads_back() -> None:
    assert render.safe_path("/alerts/1?x=2") == "/alerts/1?x=2"


def test_a_filter_is_the_shortest_address_that_means_it() -> None:
    wanted = Filter("me")
    assert wanted.path() == "/"
    assert wanted.path(severity="high") == "/?severity=high"
    assert Filter("me", "mine", "high").path(severity=None) == "/?view=mine"


def test_who_keeps_the_usual_name_is_asked_for_another() -> None:
    assert signing.needs_name("support") and not signing.needs_name("Ann")
