"""Other values of a threshold, beside the file's own: each is a detector of its own in one and the same run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pathline.contracts.yaml_files import like
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import DetectorError, DetectorFile, Override, Threshold, value_of
from pathline.domain.detectors.spans import Span
from pathline.domain.detectors.values import Thresholds
from pathline.domain.records import Record

MAX_VALUES: Final = 50
"""Values tried in one run, of all thresholds together: each takes the time of one more detector."""


class Code(StrEnum):
    """Why a threshold cannot be tried."""

    BAD_SET = "bad_set"
    UNKNOWN_DETECTOR = "unknown_detector"
    UNKNOWN_THRESHOLD = "unknown_threshold"
    BAD_VALUE = "bad_value"
    TOO_MANY_VALUES = "too_many_values"


class TrialError(DetectorError):
    """A threshold cannot be tried so."""

    def __init__(self, code: Code, message: str) -> None:
        """Carry the stable `code`."""
        self.code = code
        super().__init__(f"{message} [{code}]")


class Trial(NamedTuple):
    """Values of a threshold to be compared."""

    detector: str
    threshold: str
    values: tuple[str, ...]


class Tried(msgspec.Struct, frozen=True):
    """A value, and the name of the detector that has it in the run."""

    detector: str
    value: str
    own: bool
    """Whether it is what counts now: the file's, or an override's."""


class Compared(msgspec.Struct, frozen=True):
    """What one value would have made of the detector."""

    value: str
    own: bool
    record: Record


class Comparison(msgspec.Struct, frozen=True):
    """A threshold's values side by side, the least first."""

    detector: str
    threshold: str
    values: list[Compared]

    @property
    def warns(self) -> bool:
        """Whether it is of a detector that warns of another: then what matters is how often it was right."""
        return any(one.record.warns_of is not None for one in self.values)


def read(text: str) -> Trial:
    """Read `detector.threshold=value,value`. Raises TrialError."""
    name, equals, told = text.partition("=")
    detector, dot, threshold = name.strip().partition(".")
    values = tuple(dict.fromkeys(value for one in told.split(",") if (value := one.strip())))
    if not (equals and dot and detector and threshold and values):
        raise TrialError(Code.BAD_SET, f"{text!r} is not of the form detector.threshold=value,value")
    return Trial(detector, threshold, values)


class Trials:
    """What is tried in a run. In `detectors` each value is a detector of its own, beside all the others."""

    def __init__(self, detectors: Detectors, asked: Iterable[Trial], namespace: str) -> None:
        """Prepare them; those of one threshold are one comparison.

        Args:
            detectors: all that run.
            asked: what is to be compared.
            namespace: whose thresholds count. A value that a segment has by name stays what it is.

        Raises:
            TrialError: there is no such detector or threshold, or it cannot have that value.
        """
        together: dict[tuple[str, str], dict[str, None]] = {}
        for one in asked:
            together.setdefault((one.detector, one.threshold), {}).update(dict.fromkeys(one.values))
        if sum(map(len, together.values())) > MAX_VALUES:
            raise TrialError(Code.TOO_MANY_VALUES, f"at most {MAX_VALUES} values are tried in one run")
        self._tried = {
            (name, threshold): _tried(_file_of(detectors, name, threshold), threshold, values, detectors, namespace)
            for (name, threshold), values in together.items()
        }
        self.detectors = detectors
        if self._tried:
            self.detectors = _with(detectors, self._tried, namespace)

    @property
    def names(self) -> frozenset[str]:
        """Names of the detectors that are only tried."""
        return frozenset(one.detector for tried in self._tried.values() for one in tried if not one.own)

    def comparisons(self, records: Iterable[Record]) -> list[Comparison]:
        """What came of it, by the records of all that ran."""
        known = {record.detector: record for record in records}
        return [
            Comparison(name, threshold, [Compared(one.value, one.own, known[one.detector]) for one in tried])
            for (name, threshold), tried in self._tried.items()
        ]


def _file_of(detectors: Detectors, name: str, threshold: str) -> DetectorFile:
    file = detectors.files.get(name)
    if file is None:
        raise TrialError(Code.UNKNOWN_DETECTOR, f"there is no detector {name!r}{like(name, detectors.files)}")
    if threshold not in file.thresholds:
        hint = like(threshold, file.thresholds)
        has = f"it has {', '.join(file.thresholds)}" if file.thresholds else "it has none"
        raise TrialError(Code.UNKNOWN_THRESHOLD, f"{name} has no threshold {threshold!r}{hint}; {has}")
    return file


def _tried(
    file: DetectorFile, threshold: str, values: Iterable[str], detectors: Detectors, namespace: str
) -> Sequence[Tried]:
    own = _own(file, threshold, detectors, namespace)
    tried = {_worth(own): Tried(file.name, str(own), own=True)}
    for value in values:
        fault = _fault(file, threshold, value)
        if fault is not None:
            raise TrialError(Code.BAD_VALUE, f"{file.name}.{threshold}={value}: {fault}")
        tried.setdefault(_worth(value), Tried(f"{file.name} with {threshold} {value}", value, own=False))
    return [one for _, one in sorted(tried.items())]


def _fault(file: DetectorFile, threshold: str, value: str) -> str | None:
    """Why the threshold cannot have this value, if it cannot."""
    try:
        Thresholds(file, [Override(file.name, None, {threshold: value})], ())
    except DetectorError as error:
        return str(error).removeprefix(f"overrides of {file.name}: ")
    changed = msgspec.structs.replace(file, thresholds={**file.thresholds, threshold: value}, overrides=())
    return next((fault.words for fault in checks.faults(changed)), None)


def _own(file: DetectorFile, threshold: str, detectors: Detectors, namespace: str) -> Threshold:
    """What counts in the namespace, for customers of no segment."""
    told = file.thresholds[threshold]
    for one in detectors.overrides:
        if one.detector == file.name and one.segment is None and one.namespace in {None, namespace}:
            told = one.values.get(threshold, told)
    return told


def _worth(value: Threshold) -> tuple[float, float]:
    """By what values are ordered, and are the same: 1d is 24h."""
    read_as = value_of(value)
    if isinstance(read_as, Span):
        return read_as.working_days, read_as.time.total_seconds()
    return 0.0, 0.0 if read_as is None else read_as


def _with(detectors: Detectors, tried: dict[tuple[str, str], Sequence[Tried]], namespace: str) -> Detectors:
    files = list(detectors.files.values())
    overrides = list(detectors.overrides)
    for (name, threshold), values in tried.items():
        for one in values:
            if one.own:
                continue
            files.append(msgspec.structs.replace(detectors.files[name], name=one.detector))
            mine = [
                msgspec.structs.replace(o, detector=one.detector) for o in detectors.overrides if o.detector == name
            ]
            overrides += [*mine, Override(one.detector, namespace, {threshold: one.value})]
    return Detectors(files, overrides, detectors.service, detectors.calendar)
