"""The answers of the console's API about detectors."""

from __future__ import annotations

from typing import Any

import msgspec

from pathline.contracts.customer import Time


class DetectorRecord(msgspec.Struct):
    """What became of the episodes that one version opened, in shadow or live. A share or median of nothing is null."""

    version: int
    shadow: bool
    episodes: int
    open: int
    expired: int
    """Only history told of them; they are no part of the other figures."""
    answered: int
    came_true: int
    """Of a detector that warns of another: how often that trouble followed."""
    in_vain: int
    share_right: float | None
    median_lead_seconds: float | None
    median_seconds: float | None
    """From opening to the end."""
    acted_on: int
    """Somebody has or had it at its end, or resolved it."""
    share_acted_on: float | None
    not_a_problem: int
    share_not_a_problem: float | None
    resolutions: dict[str, int]
    days: dict[str, int]
    """How many opened on each day in UTC, newest first."""


class DetectorAct(msgspec.Struct):
    """What became of a detector: live, shadow, changed or removed; `origin` is console, api, command or file."""

    at: Time
    kind: str
    actor: str
    origin: str


class DetectorOut(msgspec.Struct):
    """A detector as the scorers run it. `file` is null for one that comes with Pathline."""

    name: str
    mode: str
    since: Time
    actor: str
    origin: str
    running: bool
    file: str | None
    title: str | None
    ease: str | None
    advice: str | None
    version: int | None
    entity: list[str]
    warns_of: str | None
    severity: list[dict[str, Any]]
    thresholds: dict[str, Any]
    overrides: list[dict[str, Any]]
    open_in_shadow: int
    """Open episodes that nobody was told of: so many are sent when it goes live, as far as they still hold."""
    records: list[DetectorRecord]
    """Newest version first, of the episodes that opened in `record_days`."""
    record_days: int
    record_complete: bool
    """Whether that were all of them, and not only the newest."""
    history: list[DetectorAct]
    """Newest first; empty in a list of detectors."""


class DetectorFault(msgspec.Struct):
    """A file that a scorer cannot use. `line` is 0 for the file as a whole."""

    file: str
    line: int
    code: str
    message: str
    last_good: bool
    """Whether the version before runs on; else it is what there is without the file."""
    instance: str
    """Of the scorer that says so, where it has a name."""


class DetectorList(msgspec.Struct):
    """All detectors by name, what is wrong with files, and how far the last change has come."""

    items: list[DetectorOut]
    faults: list[DetectorFault]
    scorers: int
    out_of_step: int
    """Scorers that run other files than those that count."""
    judged_share: float | None
    """Part of all stories that is judged by the detectors as they are; null before the first scorer."""
