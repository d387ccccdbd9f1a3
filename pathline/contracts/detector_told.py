"""What the files of detectors say, as scorers make it known to the console: as they run, overrides included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathline.contracts.detector_folder import Loaded
    from pathline.domain.detectors.rules import DetectorFile, Override


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A detector in words and figures. `steps` are its severities, mildest first, each with its conditions."""

    version: int
    title: str
    ease: str
    advice: str
    kinds: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    thresholds: dict[str, Any]
    overrides: tuple[dict[str, Any], ...]
    """Other thresholds, those of a namespace with its name."""
    warns_of: str | None
    moved: str | None
    """The word for an alert whose deadline moved; it is no answer to it."""


def told(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """What each detector says, as builtins for JSON."""
    return {name: msgspec.to_builtins(_told(file, loaded)) for name, file in loaded.detectors.files.items()}


def read(values: Mapping[str, Any]) -> Told:
    """What was told, read again; what a newer version adds is passed over. Raises msgspec.ValidationError."""
    return msgspec.convert(values, Told)


def begins_live(file: DetectorFile) -> bool:
    """Whether the file says that it needs no trial."""
    return file.live


def _told(file: DetectorFile, loaded: Loaded) -> Told:
    return Told(
        version=file.version,
        title=file.title,
        ease=file.ease,
        advice=file.advice,
        kinds=tuple(file.entity),
        steps=tuple({k: v for k, v in msgspec.to_builtins(step).items() if v is not None} for step in file.severity),
        thresholds=dict(file.thresholds),
        overrides=tuple(_override(one) for one in loaded.detectors.overrides if one.detector == file.name),
        warns_of=file.warns_of,
        moved=None if file.deadline is None else file.deadline.moved,
    )


def _override(one: Override) -> dict[str, Any]:
    of = {"namespace": one.namespace, "segment": one.segment}
    return {**{name: value for name, value in of.items() if value is not None}, **one.values}
