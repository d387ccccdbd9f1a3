"""Whether a customer's alerts add up to an alert of their own: since when, by which of them, and until when.

`verdict` looks at all alerts of a customer, ended ones up to their end, so nothing is remembered from one look to the
next, and neither the order in which they were written nor when it is asked changes what is said of an instant.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pathline.domain.alerts import Alert, Severity
from pathline.domain.detectors.evaluate import Spark, Verdict
from pathline.domain.risk import Lines, Pain, falls_below, risk

BELOW: Final = "below"
"""The deadline at which time alone takes the score below the line."""

EASED: Final = "eased"
"""What the alert is resolved as once the score is below the line."""

MAX_TROUBLES: Final = 200
"""Alerts of one customer that are looked at, those that opened last."""

MAX_MESSAGES: Final = 100
"""Messages that are named as the cause."""


class Trouble(NamedTuple):
    """An alert as far as the customer's risk asks."""

    id: str
    severity: Severity
    opened_at: datetime
    ended_at: datetime | None
    messages: tuple[str, ...]


class _Episode(NamedTuple):
    """From where the score was lifted over the line."""

    causes: tuple[Spark, ...]
    severity: Severity
    highest: float


def troubles(alerts: Iterable[Alert], composites: Container[str]) -> list[Trouble]:
    """Those of a customer's alerts that count, with the severity that each has now.

    Not those of `composites`, which are made of the others; no shadows, nothing that only history told, nothing that a
    person called not a problem, and nothing of a detector that is only tried beside itself, whose name is in words.
    """
    return [
        Trouble(str(one.id), one.severity, one.opened_at, None if one.alive else one.resolved_at, one.why)
        for one in alerts
        if one.detector not in composites
        and one.detector.isidentifier()
        and not one.shadow
        and one.state != "expired"
        and one.resolution != "not_a_problem"
    ]


def verdict(found: Iterable[Trouble], lines: Lines, now: datetime) -> Verdict:
    """What is said of a customer with these troubles at the time `now`.

    The causes, by the ids of alerts, are those at whose opening the score was at `opens_at` or above, since it was last
    below `ends_below`. What was opened by a clock ahead of `now` is opened now.
    """
    known = sorted(_until(now, found), key=lambda one: (one.opened_at, one.id))[-MAX_TROUBLES:]
    episode: _Episode | None = None
    fell_at: datetime | None = None
    there: list[Trouble] = []
    before = now
    for at in sorted({one.opened_at for one in known} | {one.ended_at for one in known if one.ended_at is not None}):
        if episode is not None and risk(_pains(there), at).score < lines.ends_below:
            fell = falls_below(_pains(there), lines.ends_below, before)
            if fell < at:
                episode, fell_at = None, fell
        there = [one for one in known if one.opened_at <= at and (one.ended_at is None or at < one.ended_at)]
        score = risk(_pains(there), at).score
        if episode is not None and score < lines.ends_below:
            episode, fell_at = None, at
        opened = [one for one in there if one.opened_at == at]
        if opened and score >= lines.opens_at:
            episode = _lifted(episode, opened, there, lines, score)
        before = at
    if episode is None:
        return Verdict(holding=False, resolution=EASED, answered_at=fell_at)
    falls = falls_below(_pains(there), lines.ends_below, before)
    if falls <= now:
        return Verdict(holding=False, resolution=EASED, answered_at=falls)
    return Verdict(
        holding=True, severity=episode.severity, causes=episode.causes, resolution=EASED, deadlines={BELOW: falls}
    )


def _until(now: datetime, found: Iterable[Trouble]) -> Iterable[Trouble]:
    """What there was up to now; one that ended before it opened never was."""
    for one in found:
        ended_at = None if one.ended_at is None or one.ended_at > now else one.ended_at
        opened_at = min(one.opened_at, now)
        if ended_at is None or opened_at < ended_at:
            yield one._replace(opened_at=opened_at, ended_at=ended_at)


def _lifted(
    episode: _Episode | None, opened: Sequence[Trouble], there: Sequence[Trouble], lines: Lines, score: float
) -> _Episode:
    """The episode after these opened; the first that begin it stand for all that was there by then."""
    highest = score if episode is None else max(score, episode.highest)
    severity = [level for level, least in lines.steps if least <= highest][-1]
    if episode is not None:
        return _Episode((*episode.causes, *map(_spark, opened)), severity, highest)
    told = tuple(dict.fromkeys(message for one in there for message in one.messages))[-MAX_MESSAGES:]
    first, *more = opened
    return _Episode((Spark(first.id, first.opened_at, told), *map(_spark, more)), severity, highest)


def _spark(one: Trouble) -> Spark:
    return Spark(one.id, one.opened_at, one.messages[-MAX_MESSAGES:])


def _pains(there: Iterable[Trouble]) -> list[Pain]:
    return [Pain(one.severity, one.opened_at) for one in there]
