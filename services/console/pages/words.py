"""How a page says things: times, money, states, touchpoints. Pure, and in one place, so that a word is said one way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec

from pathline.contracts.customer import SurveyOut
from pathline.contracts.words import ActOut, NameOut
from pathline.domain.alerts import PATHLINE, Alert
from pathline.storage.alerts import Event
from pathline.storage.customers import Caller
from pathline.storage.touchpoints import Stored
from services.console import cursors

SEVERITY_ICONS: Final = {
    "critical": "octagon-alert", "high": "triangle-alert", "warning": "diamond", "info": "info",
}  # fmt: skip
"""Each severity has a shape of its own, so that colour is never the only sign."""

STATE_WORDS: Final = {
    "open": "Open", "acknowledged": "Claimed", "snoozed": "Snoozed", "resolved": "Resolved", "expired": "Expired",
}  # fmt: skip

RESOLUTION_WORDS: Final = {"fixed": "fixed", "not_a_problem": "not a problem"}

KIND_WORDS: Final = {
    "user_id": "user", "email": "email", "phone": "phone", "anonymous_id": "visitor", "device_id": "device",
}  # fmt: skip

_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
DAY: Final = timedelta(days=1)
NOW_SECONDS: Final = 5
"""A time this near is called now."""

SUMMARY_CHARS: Final = 140
"""Characters of a touchpoint that a list shows; the whole is a click away."""
SUMMARISED_BYTES: Final = 32_768
"""A larger body is not read for a summary."""

_TELLING: Final = (
    "status", "reason", "carrier", "location", "carrier_status", "code", "decline_code", "survey", "score", "comment",
    "topic", "outcome", "by", "promised_at", "estimated_at", "name", "title", "path", "url", "query", "campaign",
    "message_code", "store_id", "email", "order_id", "tracking_number", "checkout_id", "case_id", "invoice_id",
    "dispute_id",
)  # fmt: skip
"""Properties that say what happened, the most telling first."""
TOLD_AT_MOST: Final = 4


def ago(at: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`, `now`. The browser's script says it the same way."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < NOW_SECONDS:
        return "now"
    return f"{span(abs(seconds))} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """A length of time in its largest unit, rounded down."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def exact(at: datetime) -> str:
    """`24 Nov 2026, 18:26:03 UTC`. The browser's script puts it into the reader's zone."""
    return f"{at.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"


def short(at: datetime) -> str:
    """`24 Nov, 18:26:03`, in UTC until the browser's script puts it into the reader's zone."""
    return f"{at.astimezone(UTC):%d %b, %H:%M:%S}"


def tick(at: datetime) -> str:
    """`24 Nov, 18:26`, under a timeline."""
    return f"{at.astimezone(UTC):%d %b, %H:%M}"


def soon(at: datetime, now: datetime) -> str:
    """`18:26` within a day, `24 Nov, 18:26` beyond. The browser's script says it the same way."""
    return f"{at.astimezone(UTC):%H:%M}" if abs(at - now) < DAY else tick(at)


def clock(at: datetime) -> str:
    """`18:26:03`, under a timeline of minutes."""
    return f"{at.astimezone(UTC):%H:%M:%S}"


def money(amount: str | Decimal | None, currency: str | None) -> str | None:
    """`1,234.50 EUR`; None where nothing is known to be at stake."""
    if amount is None:
        return None
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        return None
    return f"{number:,f} {currency or ''}".strip()


def detector(name: str) -> str:
    """`late_vs_promise` -> `Late vs promise`."""
    return plain(name).capitalize()


def plain(word: str) -> str:
    """A word of a closed set, without its underscores."""
    return word.replace("_", " ")


def who(caller: Caller | None) -> str:
    """How a customer is called in a list."""
    if caller is None:
        return "Nobody known yet"
    return caller.name or named(caller.kind, caller.value)


def named(kind: str, value: str) -> str:
    """An identifier as a name: a mailbox speaks for itself, an opaque id says what it is."""
    return value if kind in {"email", "phone"} else f"{KIND_WORDS.get(kind, plain(kind))} {value}"


def holder(alert: Alert) -> str | None:
    """Who has an alert that is not over, where anybody does."""
    return alert.assignee if alert.alive else None


def resolution(alert: Alert) -> str:
    """How an alert ended."""
    told = alert.resolution or ""
    return RESOLUTION_WORDS.get(told, plain(told))


def summary(stored: Stored) -> str:
    """What a touchpoint says, in one line."""
    if len(stored.body) > SUMMARISED_BYTES:
        return ""
    try:
        body = msgspec.json.decode(stored.body)
    except msgspec.DecodeError:
        return ""
    return told(body) if isinstance(body, dict) else ""


def told(body: Mapping[str, Any]) -> str:
    """The most telling of a touchpoint's properties, in one line."""
    parts = []
    sum_ = body.get("total", body.get("amount", body.get("value")))
    if isinstance(sum_, str | int | float) and not isinstance(sum_, bool):
        currency = body.get("currency")
        parts.append(money(str(sum_), currency if isinstance(currency, str) else None) or "")
    for name in _TELLING:
        value = body.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            label = plain(name.removesuffix("_id").removesuffix("_at"))
            parts.append(plain(str(value)) if name in {"status", "name", "title"} else f"{label} {_told_time(value)}")
    line = " · ".join(part for part in parts[:TOLD_AT_MOST] if part)
    return line if len(line) <= SUMMARY_CHARS else f"{line[: SUMMARY_CHARS - 1]}…"


def answer(one: SurveyOut) -> str:
    """A survey's answer as it was given: its name, the score and its scale."""
    name = one.survey or "a survey"
    known = {"nps": "NPS", "csat": "CSAT", "ces": "CES 2.0"}.get(name.strip().lower(), name)
    scale = "" if one.scale is None else f" of {one.scale}"
    return f"{known} no score" if one.score is None else f"{known} {one.score}{scale}"


def _told_time(value: str | float) -> str:
    """A value as it was sent, but a time with a zone as people read one."""
    text = str(value)
    try:
        at = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        at = None
    return text if at is None or at.tzinfo is None else f"{at.astimezone(UTC):%d %b, %H:%M} UTC"


_DONE: Final = {
    "opened": "opened it", "raised": "raised its severity", "lowered": "lowered its severity",
    "updated": "found another cause", "resolved": "saw it end by itself", "reopened": "reopened it",
    "woken": "opened it again after the snooze", "acknowledge": "claimed it", "snooze": "snoozed it until",
    "note": "wrote",
}  # fmt: skip


def done(event: Event) -> str:
    """What somebody did to an alert, after their name."""
    match event.kind, event.detail:
        case "raised", {"severity": [before, after]}:
            return f"raised it from {before} to {after}"
        case "assign", {"assignee": str(name)}:
            return f"gave it to {name}"
        case "assign", _:
            return "gave it back to everyone"
        case "resolve", {"reason": str(reason)}:
            return f"resolved it: {RESOLUTION_WORDS.get(reason, plain(reason))}"
        case kind, _:
            return _DONE.get(kind, plain(kind))


def until(event: Event) -> datetime | None:
    """When a snooze that an event tells of ends."""
    told_until = event.detail.get("until")
    try:
        return datetime.fromisoformat(told_until) if isinstance(told_until, str) else None
    except ValueError:
        return None


def actor(name: str) -> str:
    """Who did it: a person, or Pathline by the facts."""
    return "Pathline" if name == PATHLINE else name


def place(stored: Stored) -> str:
    """A touchpoint's address within its customer: the cursor of its place."""
    return cursors.to_text(stored.cursor)


def key(at: datetime, one: UUID) -> str:
    """A place in a list as text that sorts like it, newest last."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')}|{one.hex}"


def identifier(name: NameOut) -> str:
    """An identifier as a page says it."""
    return named(name.kind, name.value) if name.value else "an identifier that is gone"


def act(told: ActOut) -> str:
    """What an operator did, after their name."""
    subject = identifier(told.subject)
    other = None if told.other is None else identifier(told.other)
    match told.kind:
        case "take_back":
            return f"took back #{told.takes_back}, about {subject}"
        case "merge":
            return f"made one customer of {subject} and {other}"
        case _ if other is not None:
            return f"gave {subject} to {other}"
        case _:
            return f"split off {subject}, to be a customer by itself"
