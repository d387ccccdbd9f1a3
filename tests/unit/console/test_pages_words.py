"""How pages say things."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pathline.storage.alerts import Event
from pathline.storage.customers import Caller
from services.console.pages import words
from services.console.pages.render import MAX_TOAST_CHARS, toast

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "now"), (4.9, "now"), (5, "5 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (3_599, "59 min ago"),
        (3_600, "1 h ago"), (86_399, "23 h ago"), (86_400, "1 d ago"), (-4, "now"), (-90, "in 1 min"),
    ],
)  # fmt: skip
def test_how_long_ago(seconds: float, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        ("149.90", "EUR", "149.90 EUR"), ("1234567.5", "USD", "1,234,567.5 USD"), ("5", None, "5"),
        (None, "EUR", None), ("much", "EUR", None), ("1E+3", "EUR", "1,000 EUR"),
    ],
)  # fmt: skip
def test_money(amount: str | None, currency: str | None, said: str | None) -> None:
    assert words.money(amount, currency) == said


def test_who_is_called_by_name_else_by_what_they_go_by_else_nobody() -> None:
    one = UUID(int=1)
    assert words.who(Caller(one, "user_id", "42", "Ann")) == "Ann"
    assert words.who(Caller(one, "email", "ann@example.com", None)) == "ann@example.com"
    assert words.who(Caller(one, "anonymous_id", "b7", None)) == "visitor b7"
    assert words.who(None) == "Nobody known yet"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, ""),
        ({"status": "out_for_delivery", "location": "Hub"}, "out for delivery · location Hub"),
        ({"total": "20.00", "currency": "EUR", "order_id": "1"}, "20.00 EUR · order 1"),
        ({"promised_at": "2026-05-02T10:00:00+02:00"}, "promised 02 May, 08:00 UTC"),
        ({"promised_at": "2026-05-02"}, "promised 2026-05-02"),
        ({"comment": True, "score": 3, "products": [1, 2]}, "score 3"),
        ({"amount": {"of": 3}, "name": "Desk"}, "Desk"),
        ({"status": "a", "reason": "b", "carrier": "c", "location": "d", "code": "e"}, "a · reason b · carrier c · location d"),
    ],
)  # fmt: skip
def test_the_most_telling_of_a_touchpoint(body: dict[str, Any], said: str) -> None:
    assert words.told(body) == said


def test_a_long_comment_is_cut() -> None:
    line = words.told({"comment": "x" * 1_000})
    assert len(line) == words.SUMMARY_CHARS and line.endswith("…")


def event(kind: str, **detail: Any) -> Event:
    return Event(1, UUID(int=1), NOW, "Ann", kind, detail)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (event("opened"), "opened it"),
        (event("raised", severity=["high", "critical"]), "raised it from high to critical"),
        (event("raised"), "raised its severity"),
        (event("acknowledge"), "claimed it"),
        (event("assign", assignee="Ben"), "gave it to Ben"),
        (event("assign", assignee=None), "gave it back to everyone"),
        (event("resolve", reason="not_a_problem"), "resolved it: not a problem"),
        (event("resolved"), "saw it end by itself"),
        (event("some_later_kind"), "some later kind"),
    ],
)
def test_what_somebody_did(done: Event, said: str) -> None:
    assert words.done(done) == said


def test_when_a_snooze_ends() -> None:
    assert words.until(event("snooze", until=NOW.isoformat())) == NOW
    assert words.until(event("snooze", until="soon")) is None
    assert words.until(event("opened")) is None


def test_keys_sort_as_the_moments_they_stand_for_whatever_their_zone_and_fraction() -> None:
    times = [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(seconds=1), NOW + timedelta(days=400)]
    keys = [words.key(at, UUID(int=7)) for at in times]
    assert keys == sorted(keys)
    assert words.key(NOW, UUID(int=1)) < words.key(NOW, UUID(int=2))


def test_a_line_for_the_edge_of_the_page_is_a_header_of_bounded_ascii() -> None:
    (name, value), *more = toast("Zo\u00eb\r\nhas it \u2713" + "x" * 1_000, wrong=True).items()
    assert name == "hx-trigger-after-swap" and not more
    assert value.isascii() and value.isprintable()
    told = json.loads(value)["toast"]
    assert told["kind"] == "wrong" and told["text"].startswith("Zo\u00eb\r\nhas it \u2713")
    assert len(told["text"]) == MAX_TOAST_CHARS


@pytest.mark.parametrize(
    ("hours", "said"), [(0.5, "12:30"), (-1, "11:00"), (23.9, "11:54"), (24, "02 May, 12:00"), (-24, "30 Apr, 12:00")]
)
def test_a_time_to_come_has_its_day_only_beyond_one(hours: float, said: str) -> None:
    assert words.soon(NOW + timedelta(hours=hours), NOW) == said
