"""When a webhook is tried again."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from pydantic import ValidationError

from pathline.contracts.alert_message import Webhook as WebhookBody
from pathline.contracts.alert_message import WebhookData
from services.scorer.courier import GivenUp, Postponed
from services.scorer.settings import KEY_PREFIX, LEAST_KEY_BYTES, ScorerSettings
from services.scorer.webhook import JITTER, MAX_RETRY_AFTER_SECONDS, RETRY_SECONDS, later


@pytest.mark.parametrize(("attempts", "pause"), list(enumerate(RETRY_SECONDS, start=1)))
def test_pauses_grow_as_the_standard_advises_and_jitter_only_adds(attempts: int, pause: int) -> None:
    again = later(attempts, "HTTP 500")
    assert isinstance(again, Postponed)
    assert pause <= again.seconds <= pause * (1 + JITTER)


def test_the_last_failure_is_the_end() -> None:
    assert later(len(RETRY_SECONDS) + 1, "HTTP 500") == GivenUp("HTTP 500")


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("120", 120, 120),
        (" 120 ", 120, 120),
        ("0", 5, 5 * (1 + JITTER)),
        ("soon", 5, 5 * (1 + JITTER)),
        ("-7", 5, 5 * (1 + JITTER)),
        ("9" * 400, 5, MAX_RETRY_AFTER_SECONDS),
        ("99999999", MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after_is_honoured_within_bounds(told: str, least: float, most: float) -> None:
    again = later(1, "HTTP 429", told)
    assert isinstance(again, Postponed)
    assert least <= again.seconds <= most


def test_retry_after_may_be_a_date() -> None:
    again = later(1, "HTTP 503", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert isinstance(again, Postponed)
    assert 3_590 <= again.seconds <= 3_600


KEY = base64.b64encode(b"k" * LEAST_KEY_BYTES).decode()


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        KEY_PREFIX,
        KEY_PREFIX + KEY[:-8],
        KEY_PREFIX + KEY * 3,
        KEY_PREFIX + "not base64!" * 4,
        "é" * 40,
    ],
)
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("PATHLINE_WEBHOOK_SECRET", secret)
    with pytest.raises(ValidationError, match="24 to 64 bytes in base64") as refused:
        ScorerSettings.load()
    assert "input_value" not in str(refused.value)


def test_nothing_is_posted_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_WEBHOOK_URL", "https://hooks.example/alerts")
    with pytest.raises(ValidationError, match="nothing is posted unsigned"):
        ScorerSettings.load()
    monkeypatch.setenv("PATHLINE_WEBHOOK_SECRET", KEY_PREFIX + KEY)
    assert ScorerSettings.load().webhook_url == "https://hooks.example/alerts"


def test_the_page_on_the_webhook_shows_a_body_as_it_is_and_the_pauses() -> None:
    page = (Path(__file__).parents[3] / "docs" / "webhook.md").read_text(encoding="utf-8")
    shown = msgspec.json.decode(page.partition("```json\n")[2].partition("```")[0], type=WebhookBody, strict=True)
    keys = msgspec.to_builtins(shown)
    assert msgspec.json.decode(page.partition("```json\n")[2].partition("```")[0]).keys() == keys.keys()
    assert set(keys["data"]) == set(WebhookData.__struct_fields__)
    assert "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h" in page
    assert RETRY_SECONDS == (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
