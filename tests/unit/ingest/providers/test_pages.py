"""The pages of docs/webhooks tell what the tables of the code say, line by line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.ingest.providers import PROVIDERS, aftership, easypost, shippo, shopify, stripe, woocommerce

PAGES = Path(__file__).parents[4] / "docs" / "webhooks"
NONE = "no status"


def rows(provider: str, heading: str) -> dict[str, str]:
    """What each word of the first column becomes, in the table of this heading."""
    page = (PAGES / f"{provider}.md").read_text(encoding="utf-8")
    table = page.split(f"\n| {heading} | becomes")[1].split("\n\n")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {word: line[1] for line in lines for word in re.findall(r"`([^`]+)`", line[0])}


STATUSES: list[tuple[str, str, Mapping[str, str | None]]] = [
    ("shopify", "status", shopify.STATUSES),
    ("aftership", "tag", aftership.TAGS),
    ("aftership", "subtag", aftership.SUBTAGS),
    ("easypost", "status", easypost.STATUSES),
    ("easypost", "status_detail", easypost.DETAILS),
    ("shippo", "status", shippo.STATUSES),
    ("shippo", "substatus", shippo.SUBSTATUSES),
]


@pytest.mark.parametrize(("provider", "heading", "table"), STATUSES, ids=[f"{p}-{h}" for p, h, _ in STATUSES])
def test_every_status_stands_there_with_what_it_becomes(
    provider: str, heading: str, table: Mapping[str, str | None]
) -> None:
    told = {word: becomes.strip("`") for word, becomes in rows(provider, heading).items()}
    assert told.keys() == table.keys()
    for word, status in table.items():
        assert told[word] == status if status else told[word].startswith(NONE), word


def test_every_topic_stands_there() -> None:
    assert rows("shopify", "topic").keys() == shopify.TOPICS.keys() | shopify.PRIVACY
    assert rows("stripe", "event").keys() == stripe.TOPICS.keys()
    for provider, topics in (
        ("aftership", aftership.EVENTS), ("easypost", easypost.EVENTS), ("shippo", shippo.EVENTS),
        ("woocommerce", woocommerce.ORDER_TOPICS | woocommerce.CUSTOMER_TOPICS),
    ):  # fmt: skip
        page = (PAGES / f"{provider}.md").read_text(encoding="utf-8")
        assert {topic for topic in topics if f"`{topic}`" not in page} == set(), provider


def test_every_status_of_an_order_of_woocommerce_stands_there() -> None:
    told = {
        word: () if cell == "-" else tuple(cell.split(", ")) for word, cell in rows("woocommerce", "status").items()
    }
    assert told == woocommerce.STATUSES


def test_every_provider_has_a_page_that_the_index_names() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert {page.stem for page in PAGES.glob("*.md")} == {*PROVIDERS, "README"}
    for name in PROVIDERS:
        assert f"| `{name}` | [{name}.md]({name}.md)" in index
        assert f"--provider {name} " in (PAGES / f"{name}.md").read_text(encoding="utf-8")
