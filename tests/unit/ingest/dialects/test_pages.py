"""The pages about SDKs are held to the code."""

from __future__ import annotations

import re
from pathlib import Path

from pathline.domain.recording import RECORDING
from pathline.domain.vocabulary import CHANNELS, SHIPMENT_STATUSES, VOCABULARY
from services.ingest.codes import CODES
from services.ingest.dialects import snowplow, snowplow_shop
from services.ingest.routes import ROUTES

PAGES = Path(__file__).parents[4] / "docs" / "sdks"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text("utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of its tables."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]


def test_the_page_of_events_is_the_vocabulary() -> None:
    text = page("events")
    table = rows(text)
    names = [row[0].strip("`") for row in table]
    demanding, others = names[: len(VOCABULARY)], names[len(VOCABULARY) :]
    assert demanding == list(VOCABULARY)
    # What else tells a fact is listed, too, though nothing is asked of it.
    assert RECORDING.keys() - VOCABULARY.keys() <= set(others)
    assert not [row for row in table[len(VOCABULARY) :] if row[1] or row[3]]
    for row, event in zip(table, VOCABULARY.values(), strict=False):
        demanded = [tuple(re.findall(r"`(\w+)`", part)) for part in re.split(r"[,;]", row[1]) if part.strip()]
        assert demanded == list(event.required), row
        assert ("report" in row[3]) is event.report, row
    told = text.split("status` of a scan is one of ")[1].split(". ")[0]
    assert set(re.findall(r"`(\w+)`", told)) == SHIPMENT_STATUSES
    assert ", ".join(CHANNELS) in text.replace("\n", " ")


def test_the_page_of_snowplow_tells_the_shop_s_actions() -> None:
    text = page("snowplow")
    assert all(f"`{action}`" in text and f"`{event}`" in text for action, event in snowplow_shop.EVENTS.items())
    assert ", ".join(str(status) for status in sorted(snowplow.GIVEN_UP)[:-1]) in text
    assert f"{snowplow.ENTITIES_MAX:,} entities" in text


def test_every_address_and_code_in_the_pages_is_there() -> None:
    for file in PAGES.glob("*.md"):
        text = file.read_text("utf-8")
        for code in re.findall(r"\b4\d\d `(\w+)`", text):
            assert code in CODES, (file.name, code)
        for path in re.findall(r"(?:POST|GET) (/[\w/.]+)[`?]", text):
            assert path in ROUTES or path == "/sourceConfig/" or "{" in path, (file.name, path)
        for link in re.findall(r"\]\(([\w./-]+\.md)", text):
            assert (PAGES / link).exists(), (file.name, link)
