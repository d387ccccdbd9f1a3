"""The stages of a journey: which touchpoints enter which, and what is wanted there. A business writes its own file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from pathline.domain.touchpoint import Touchpoint

MAX_STAGES: Final = 20

MAX_ACTIONS: Final = 50
"""Desired actions of all stages together; each that is done is a fact of a purchase or a person."""


class StageError(ValueError):
    """The stage file cannot be used."""


class Told(Protocol):
    """What a condition looks at: a touchpoint, or as much of one as was read."""

    @property
    def type(self) -> str:
        """The type of the call."""

    @property
    def event(self) -> str:
        """Its event."""

    @property
    def channel(self) -> str:
        """Its channel."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """What it says."""


class Concern(NamedTuple):
    """Which touchpoints can complete an action: of these events, None for any; and of which the properties count."""

    events: tuple[str, ...] | None
    read: tuple[str, ...] | None


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds for a touchpoint when every part that is given does."""

    event: tuple[str, ...] = ()
    """Names of events; any one of them."""
    type: tuple[str, ...] = ()
    """Types of calls; any one of them."""
    channel: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    """Properties and the values, as text, that each may have."""

    def holds(self, touchpoint: Told) -> bool:
        """Whether the touchpoint meets it."""
        return (
            (not self.event or (touchpoint.type == "track" and touchpoint.event in self.event))
            and (not self.type or touchpoint.type in self.type)
            and (not self.channel or touchpoint.channel in self.channel)
            and (
                not self.where
                or all(_text(touchpoint.properties.get(name)) in values for name, values in self.where.items())
            )
        )


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something the business wants done at a stage. It is completed by the first touchpoint of which a part holds."""

    name: str
    done: tuple[Condition, ...]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage of the journey. They are in order: being in a later one means having left the earlier."""

    name: str
    enter: tuple[Condition, ...]
    actions: tuple[Action, ...] = ()


class StageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration as a business writes it (YAML or JSON)."""

    stages: tuple[Stage, ...]
    moments_of_truth: tuple[Condition, ...] = ()


class _Index:
    """Conditions with what each leads to, by the events they name: most concern no touchpoint of another event."""

    def __init__(self, conditions: Iterable[tuple[str, Condition]]) -> None:
        by_event: dict[str, list[tuple[str, Condition]]] = {}
        others = []
        for leads_to, condition in conditions:
            if condition.event:
                for event in condition.event:
                    by_event.setdefault(event, []).append((leads_to, condition))
            else:
                others.append((leads_to, condition))
        self._others = tuple(others)
        self._by_event = {event: (*named, *others) for event, named in by_event.items()}

    def concerning(self, touchpoint: Told) -> tuple[tuple[str, Condition], ...]:
        """Those that may hold: the ones that name its event, in the order of the file, then those that name none."""
        if touchpoint.type != "track":
            return self._others
        return self._by_event.get(touchpoint.event, self._others)


class Stages:
    """A compiled stage file: a touchpoint is held only against the conditions that could concern it."""

    def __init__(self, file: StageFile) -> None:
        """Compile a file. Raises StageError."""
        self.names = tuple(stage.name for stage in file.stages)
        if not self.names or len(self.names) > MAX_STAGES or len(set(self.names)) != len(self.names):
            message = f"1 to {MAX_STAGES} stages with different names are needed, not {list(self.names)}"
            raise StageError(message)
        self.actions: Mapping[str, tuple[str, ...]] = {
            stage.name: tuple(action.name for action in stage.actions) for stage in file.stages
        }
        """What is wanted at each stage. A name is of one action, so that a fact can be named after it."""
        named = [name for names in self.actions.values() for name in names]
        if len(named) > MAX_ACTIONS or len(set(named)) != len(named):
            message = f"at most {MAX_ACTIONS} actions with different names are taken, not {named}"
            raise StageError(message)
        self.identity = identity_of(file)
        self._stages = _Index((stage.name, condition) for stage in file.stages for condition in stage.enter)
        self._moments = _Index(("", condition) for condition in file.moments_of_truth)
        self._done = [condition for stage in file.stages for action in stage.actions for condition in action.done]
        self._actions = _Index(
            (action.name, condition) for stage in file.stages for action in stage.actions for condition in action.done
        )

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
        for name, condition in self._stages.concerning(touchpoint):
            if condition.holds(touchpoint):
                stage = name
                break
        moments = self._moments.concerning(touchpoint)
        return stage, bool(moments) and any(condition.holds(touchpoint) for _, condition in moments)

    @property
    def acted_on(self) -> Concern:
        """What has to be read to know which desired actions were done."""
        return Concern(_events(self._done), _events(part for part in self._done if part.where))

    def completed(self, touchpoint: Told) -> Iterable[str]:
        """The desired actions that the touchpoint is the doing of."""
        concerning = self._actions.concerning(touchpoint)
        return {name for name, condition in concerning if condition.holds(touchpoint)} if concerning else ()


def _events(conditions: Iterable[Condition]) -> tuple[str, ...] | None:
    """The events that these conditions name; None where one of them names none."""
    listed = list(conditions)
    if not all(condition.event for condition in listed):
        return None
    return tuple(sorted({event for condition in listed for event in condition.event}))


def identity_of(file: StageFile) -> str:
    """What tells one stage file from another by what it does: 32 hexadecimal digits.

    Comments, the layout and the order in which the events or conditions of one stage are written do not count; the
    order of the stages does. Fields at their default do not either, so that a later version that knows more of them
    gives an old file the identity it had.
    """
    told = {
        "stages": [
            {
                "name": stage.name,
                "enter": _canonical(stage.enter),
                **({"actions": {a.name: _canonical(a.done) for a in stage.actions}} if stage.actions else {}),
            }
            for stage in file.stages
        ],
        "moments_of_truth": _canonical(file.moments_of_truth),
    }
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()[:32]


def _canonical(conditions: Iterable[Condition]) -> list[str]:
    """Conditions in an order of their own. Any of them is enough, as is any value of one."""
    return sorted({msgspec.json.encode(_sorted(condition), order="deterministic").decode() for condition in conditions})


def _sorted(condition: Condition) -> dict[str, Any]:
    parts: dict[str, Any] = {
        name: sorted(set(values))
        for name, values in (("event", condition.event), ("type", condition.type), ("channel", condition.channel))
        if values
    }
    if condition.where:
        parts["where"] = {name: sorted(set(values)) for name, values in condition.where.items()}
    return parts


def _text(value: object) -> str | None:
    """A property as a file writes it; what is not there, and what is no scalar, is like nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None
