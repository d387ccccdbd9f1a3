"""The stages of a journey: which touchpoints enter which. A business writes its own file."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pathline.domain.touchpoint import Touchpoint

MAX_STAGES: Final = 20


class StageError(ValueError):
    """The stage file cannot be used."""


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds for a touchpoint when every part that is given does."""

    event: tuple[str, ...] = ()
    """Names of events; any one of them."""
    type: tuple[str, ...] = ()
    """Types of calls; any one of them."""
    channel: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    """Properties and the values, as text, that each may have."""

    def holds(self, touchpoint: Touchpoint) -> bool:
        """Whether the touchpoint meets it."""
        return (
            (not self.event or (touchpoint.type == "track" and touchpoint.event in self.event))
            and (not self.type or touchpoint.type in self.type)
            and (not self.channel or touchpoint.channel in self.channel)
            and all(str(touchpoint.properties.get(name)) in values for name, values in self.where.items())
        )


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage of the journey. They are in order: being in a later one means having left the earlier."""

    name: str
    enter: tuple[Condition, ...]


class StageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration as a business writes it (YAML or JSON)."""

    stages: tuple[Stage, ...]
    moments_of_truth: tuple[Condition, ...] = ()


class Stages:
    """A compiled stage file: a touchpoint is held only against the conditions that could concern it."""

    def __init__(self, file: StageFile) -> None:
        """Compile a file. Raises StageError."""
        self.names = tuple(stage.name for stage in file.stages)
        if not self.names or len(self.names) > MAX_STAGES or len(set(self.names)) != len(self.names):
            message = f"1 to {MAX_STAGES} stages with different names are needed, not {list(self.names)}"
            raise StageError(message)
        self._by_event: dict[str, list[tuple[str, Condition]]] = {}
        self._others: list[tuple[str, Condition]] = []
        for stage in file.stages:
            for condition in stage.enter:
                if condition.event:
                    for event in condition.event:
                        self._by_event.setdefault(event, []).append((stage.name, condition))
                else:
                    self._others.append((stage.name, condition))
        self._moments = file.moments_of_truth

    @classmethod
    def from_builtins(cls, data: Any) -> Stages:
        """Compile what a YAML or JSON parser returned.

        Raises:
            StageError: it says where the file is wrong.
        """
        try:
            return cls(msgspec.convert(data, StageFile))
        except msgspec.ValidationError as error:
            raise StageError(str(error)) from error

    def place(self, touchpoint: Touchpoint) -> tuple[str | None, bool]:
        """The stage the touchpoint enters, and whether it is a moment of truth."""
        stage = None
        named = self._by_event.get(touchpoint.event, ()) if touchpoint.type == "track" else ()
        for name, condition in (*named, *self._others):
            if condition.holds(touchpoint):
                stage = name
                break
        return stage, any(condition.holds(touchpoint) for condition in self._moments)
