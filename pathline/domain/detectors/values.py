"""Thresholds as they count: in a namespace, for a segment of customers, or the strictest of all segments.

Before the customer of a thing was looked up, a detector is run as for the strictest: what does not hold then holds for
nobody. Every place where a threshold is used knows which way is strict: a shorter patience and a smaller count, but a
longer lead and a higher limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pathline.domain.detectors.rules import (
    RUNS,
    DetectorError,
    DetectorFile,
    Override,
    ServiceRule,
    Threshold,
    number_of,
    span_of,
    value_of,
)
from pathline.domain.detectors.spans import NONE, Span


class Values:
    """What each threshold can be: one value, or for the strictest every one that some segment has."""

    def __init__(self, given: Mapping[str, tuple[Span | float, ...]], *, runs: bool = True) -> None:
        """Know these candidates, at least one for each name, and whether the detector is to be asked at all."""
        self._given = given
        self.runs = runs

    def shortest(self, word: str | None) -> Span:
        """A span where a shorter one is stricter. Raises DetectorError."""
        return min(self._spans(word))

    def longest(self, word: str | None) -> Span:
        """A span where a longer one is stricter. Raises DetectorError."""
        return max(self._spans(word))

    def least(self, word: str | float) -> float:
        """A number where a smaller one is stricter. Raises DetectorError."""
        return min(self._numbers(word))

    def most(self, word: str | float) -> float:
        """A number where a larger one is stricter. Raises DetectorError."""
        return max(self._numbers(word))

    def _spans(self, word: str | None) -> list[Span]:
        found = self._given.get(word, ()) if word is not None else (NONE,)
        spans = [one for one in found if isinstance(one, Span)]
        return spans if spans and len(spans) == len(found) else [span_of({}, word)]

    def _numbers(self, word: str | float) -> list[float]:
        found = self._given.get(word, ()) if isinstance(word, str) else (float(word),)
        numbers = [one for one in found if not isinstance(one, Span)]
        return numbers if numbers and len(numbers) == len(found) else [number_of({}, word)]


class Thresholds:
    """The thresholds of a detector in one namespace, for whomever."""

    def __init__(self, file: DetectorFile, overrides: Iterable[Override], service: Iterable[ServiceRule]) -> None:
        """Fill in what is overridden.

        Args:
            file: whose thresholds.
            overrides: those of the namespace, the one that counts most last.
            service: whose service timers are shorter.

        Raises:
            DetectorError: a threshold is neither a span nor a number, or an override is of another sort.
        """
        self._service = frozenset(file.service)
        self._base = {name: _read(name, told) for name, told in file.thresholds.items()}
        self._runs = True
        self._by_segment: list[tuple[str, dict[str, Span | float], bool | None]] = []
        for override in overrides:
            runs = _runs(file, override)
            values = {name: _like(file, name, told) for name, told in override.values.items() if name != RUNS}
            if override.segment is not None:
                self._by_segment.append((override.segment, values, runs))
                continue
            self._base |= values
            self._runs = self._runs if runs is None else runs
        self._factors = {rule.segment: rule.factor for rule in service} if self._service else {}
        self.segments = frozenset({*self._factors, *(segment for segment, _, _ in self._by_segment)})
        """Segments for which something is different."""

    def of(self, segments: frozenset[str]) -> Values:
        """For a customer of these segments."""
        named: dict[str, Span | float] = {}
        runs = self._runs
        for segment, values, told in self._by_segment:
            if segment in segments:
                named |= values
                runs = runs if told is None else told
        factor = min((factor for segment, factor in self._factors.items() if segment in segments), default=1.0)
        return Values(
            # What is set for a segment by name is meant as it stands.
            {name: (named.get(name, self._scaled(name, value, factor)),) for name, value in self._base.items()},
            runs=runs,
        )

    def strictest(self) -> Values:
        """For whoever it may be."""
        factors = (1.0, *self._factors.values())
        given = {name: [self._scaled(name, told, factor) for factor in factors] for name, told in self._base.items()}
        for _, values, _ in self._by_segment:
            for name, value in values.items():
                given[name].append(value)
        runs = self._runs or any(told for _, _, told in self._by_segment)
        return Values({name: tuple(values) for name, values in given.items()}, runs=runs)

    def _scaled(self, name: str, value: Span | float, factor: float) -> Span | float:
        return value.times(factor) if name in self._service and isinstance(value, Span) else value


def _read(name: str, told: Threshold) -> Span | float:
    value = value_of(told)
    if value is None:
        message = f"{name}: {told!r} is neither a span of time nor a number"
        raise DetectorError(message)
    return value


def _runs(file: DetectorFile, override: Override) -> bool | None:
    told = override.values.get(RUNS)
    if told is None or isinstance(told, bool):
        return told
    message = f"overrides of {file.name}: runs is true or false, not {told!r}"
    raise DetectorError(message)


def _like(file: DetectorFile, name: str, told: Threshold) -> Span | float:
    """An override's value, which must be of the sort of what it stands for, so that the two can be compared."""
    if name not in file.thresholds:
        message = f"overrides of {file.name}: no threshold is called {name}"
        raise DetectorError(message)
    value, base = _read(name, told), _read(name, file.thresholds[name])
    if _sort(value) != _sort(base):
        message = f"overrides of {file.name}: {name} is {_sort(base)}, and {told!r} is {_sort(value)}"
        raise DetectorError(message)
    return value


def _sort(value: Span | float) -> str:
    if not isinstance(value, Span):
        return "a number"
    return "a span of time" if value.by_the_clock else "a span in working days"
