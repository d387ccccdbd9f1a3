"""The stage file as a business writes it: every mistake in it at once, each with its line, column and a stable code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pathline.config import STAGES_FILE
from pathline.contracts import yaml_files
from pathline.contracts.yaml_files import FileError, Problem, described, like, said
from pathline.domain.stages import (
    MAX_ACTIONS,
    MAX_STAGES,
    Action,
    Condition,
    Stage,
    StageError,
    StageFile,
    Stages,
)
from pathline.domain.vocabulary import CALL_TYPES, CHANNELS, VOCABULARY

MAX_PARTS: Final = 20_000
"""Parts of a file that are looked at, each as often as it is referred to: aliases of aliases make a few lines many."""

MAX_PROBLEMS: Final = 100
"""Problems of one file that are told."""

_NAME: Final = re.compile(r"[^\W_](?:[\w -]{0,38}[^\W_])?")
_NAME_WORDS: Final = "1 to 40 letters, digits, blanks, - and _, the first and the last a letter or a digit"
_ALIKE: Final = 0.85
"""How like a known event's name another must be to be taken for a slip of the pen."""

CODES: Final[Mapping[str, str]] = {
    "no_file": "The file cannot be read.",
    "file_too_large": f"It is larger than {yaml_files.MAX_BYTES:,} bytes, or its aliases make more than"
    f" {MAX_PARTS:,} parts of it.",
    "not_utf8": "A byte is no UTF-8.",
    "not_yaml": "It is not YAML; the place is where it could not be read on.",
    "wrong_type": "A list, a mapping or a text is needed where something else stands.",
    "missing_field": "A field that is needed is missing.",
    "unknown_field": "There is no field of that name here.",
    "duplicate_field": "The field stands here twice.",
    "no_stages": "There is no stage in it.",
    "too_many_stages": f"There are more than {MAX_STAGES} stages.",
    "too_many_actions": f"There are more than {MAX_ACTIONS} actions, of all stages together.",
    "bad_name": f"The name of a stage or an action is not {_NAME_WORDS}.",
    "duplicate_stage": "Two stages have one name.",
    "duplicate_action": "Two actions have one name, be it at two stages.",
    "no_condition": "The list is empty: nothing would ever enter the stage, or complete the action.",
    "empty_condition": "The condition has no part, so every touchpoint would meet it.",
    "empty_list": "A part of a condition names nothing, so no touchpoint would meet it.",
    "unknown_type": f"The type of a call is one of {', '.join(CALL_TYPES)}.",
    "unknown_channel": f"The channel is one of {', '.join(CHANNELS)}.",
    "never_holds": "Only a track call has an event, so the condition never holds.",
    "perhaps_misspelt": "A warning: nobody knows the event, but one that is written much like it.",
    "never_reached": "A warning: an earlier stage takes every such event.",
    "read_otherwise": "A warning: YAML reads the value as another than the one written; quoted, it is what is written.",
}
"""Every stable code, and what it means."""


class Checked(msgspec.Struct, frozen=True):
    """What came of reading a file: `file` is None where something is wrong with it."""

    file: StageFile | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems without the warnings."""
        return tuple(problem for problem in self.problems if not problem.warning)


def load(path: Path | None) -> Stages:
    """The stages of a deployment; None: those that come with Pathline.

    Raises:
        StageError: the file cannot be used; it says all that is wrong, a line each.
    """
    checked = check(path or STAGES_FILE)
    if checked.file is None:
        raise StageError("\n".join(said(path or STAGES_FILE, problem) for problem in checked.errors))
    return Stages(checked.file)


def check(path: Path) -> Checked:
    """Read a file, or standard input for `-`, and find everything that is wrong with it."""
    try:
        return _checked(yaml_files.compose(path))
    except FileError as error:
        return Checked(None, (error.problem,))


def check_bytes(data: bytes) -> Checked:
    """The same for what a file holds."""
    try:
        return _checked(yaml_files.compose_bytes(data))
    except FileError as error:
        return Checked(None, (error.problem,))


def _checked(node: Node | None) -> Checked:
    reader = _Reader()
    if node is None:
        return Checked(None, (Problem(0, 0, "no_stages", CODES["no_stages"]),))
    try:
        file = reader.file(node)
    except _TooManyError:
        reader.note(node, "file_too_large", f"its aliases make more than {MAX_PARTS:,} parts of it")
        file = None
    problems = sorted(set(reader.problems))
    # Errors first: a flood of warnings must not hide one.
    told = sorted(sorted(problems, key=lambda one: one.warning)[:MAX_PROBLEMS])
    return Checked(None if any(not one.warning for one in told) else file, tuple(told))


@cache
def known_events() -> frozenset[str]:
    """The events that have a meaning to Pathline, or to the stages that come with it."""
    own = _Reader().file(yaml_files.compose(STAGES_FILE) or SequenceNode("", []), compare=False)
    named = {event for stage in own.stages for condition in stage.enter for event in condition.event} if own else set()
    return frozenset({*VOCABULARY, *named})


class _TooManyError(Exception):
    """More parts than are looked at."""


class _Reader:
    """Builds the file from its nodes, and goes on after each problem."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._parts = 0
        self._taken: dict[str, tuple[str, int]] = {}
        """Events that a stage takes whatever else they carry: the stage, and its line."""

    def note(self, node: Node, code: str, message: str | None = None, *, warning: bool = False) -> None:
        """Something is wrong at the beginning of this node."""
        self.problems.append(Problem(*yaml_files.place_of(node.start_mark), code, message or CODES[code], warning))

    def file(self, node: Node, *, compare: bool = True) -> StageFile | None:
        """The file; None where it has not even stages. `compare`: whether events are held against known ones."""
        fields = self._fields(node, ("stages", "moments_of_truth"), ("stages",))
        if "stages" not in fields:
            return None
        nodes = self._items(fields["stages"])
        if isinstance(fields["stages"], SequenceNode) and not nodes:
            self.note(fields["stages"], "no_stages")
        if len(nodes) > MAX_STAGES:
            self.note(nodes[MAX_STAGES], "too_many_stages")
        stages = [self._stage(one, compare=compare) for one in nodes[:MAX_STAGES]]
        moments = fields.get("moments_of_truth")
        conditions = () if moments is None else self._conditions(moments, compare=compare, may_be_empty=True)
        self._unique(nodes[:MAX_STAGES], "duplicate_stage")
        wanted = [action for one in nodes[:MAX_STAGES] for action in _found(one, "actions")]
        self._unique(wanted, "duplicate_action")
        if len(wanted) > MAX_ACTIONS:
            self.note(wanted[MAX_ACTIONS], "too_many_actions")
        return StageFile(tuple(stages), conditions)

    def _stage(self, node: Node, *, compare: bool) -> Stage:
        fields = self._fields(node, ("name", "enter", "actions"), ("name", "enter"))
        name = self._name(fields.get("name"))
        enter = self._conditions(fields["enter"], compare=compare, stage=name) if "enter" in fields else ()
        actions = []
        for one in self._items(fields["actions"]) if "actions" in fields else ():
            parts = self._fields(one, ("name", "done"), ("name", "done"))
            done = self._conditions(parts["done"], compare=compare) if "done" in parts else ()
            actions.append(Action(self._name(parts.get("name")), done))
        return Stage(name, enter, tuple(actions))

    def _conditions(
        self, node: Node, *, compare: bool, stage: str | None = None, may_be_empty: bool = False
    ) -> tuple[Condition, ...]:
        nodes = self._items(node)
        if isinstance(node, SequenceNode) and not nodes and not may_be_empty:
            self.note(node, "no_condition")
        return tuple([self._condition(one, compare=compare, stage=stage) for one in nodes])

    def _condition(self, node: Node, *, compare: bool, stage: str | None) -> Condition:
        fields = self._fields(node, ("event", "type", "channel", "where"), ())
        if isinstance(node, MappingNode) and not node.value:
            self.note(node, "empty_condition")
        listed: dict[str, list[tuple[str, Node]]] = {
            name: self._texts(fields[name]) for name in ("event", "type", "channel") if name in fields
        }
        for name, code, known in (("type", "unknown_type", CALL_TYPES), ("channel", "unknown_channel", CHANNELS)):
            for text, at in listed.get(name, []):
                if text not in known:
                    self.note(at, code, f"{text!r} is no {name}: {CODES[code].lower().rstrip('.')}{like(text, known)}")
        events = listed.get("event", [])
        for text, at in events:
            if not text.strip():
                self.note(at, "empty_list", "the name of an event is empty, so no touchpoint would meet it")
        if events and "type" in listed and not any(text == "track" for text, _ in listed["type"]):
            self.note(fields["type"], "never_holds")
        if compare:
            self._compare(events, stage, bare=set(fields) == {"event"})
        where = self._where(fields["where"]) if "where" in fields else {}
        event, kind, channel = (
            tuple([text for text, _ in listed.get(name, [])]) for name in ("event", "type", "channel")
        )
        return Condition(event, kind, channel, where)

    def _compare(self, events: Iterable[tuple[str, Node]], stage: str | None, *, bare: bool) -> None:
        for text, at in events:
            if text not in known_events():
                close = get_close_matches(text, known_events(), 1, _ALIKE)
                if close:
                    self.note(at, "perhaps_misspelt", f"nobody knows {text!r}; is it {close[0]!r}?", warning=True)
            if stage is None:
                continue
            other, line = self._taken.get(text, (stage, 0))
            if other != stage:
                words = f"the stage {other!r} (line {line}) takes every {text!r}"
                self.note(at, "never_reached", words, warning=True)
            elif bare:
                self._taken.setdefault(text, (stage, at.start_mark.line + 1))

    def _where(self, node: Node) -> dict[str, tuple[str, ...]]:
        if not isinstance(node, MappingNode):
            self._wrong(node, "a mapping of properties to lists of values")
            return {}
        if not node.value:
            self.note(node, "empty_list")
        where: dict[str, tuple[str, ...]] = {}
        for key, value in node.value:
            name = self._text(key)
            if name is not None:
                if name in where:
                    self.note(key, "duplicate_field", f"{name!r} stands here twice")
                where[name] = tuple([text for text, _ in self._texts(value, scalars=True)])
        return where

    def _fields(self, node: Node, known: tuple[str, ...], needed: tuple[str, ...]) -> dict[str, Node]:
        self._count()
        if not isinstance(node, MappingNode):
            self._wrong(node, f"a mapping with {', '.join(known)}")
            return {}
        fields: dict[str, Node] = {}
        for key, value in node.value:
            self._count()
            name = key.value if isinstance(key, ScalarNode) else None
            if name not in known:
                self.note(key, "unknown_field", f"there is no field {name!r} here{like(str(name), known)}")
            elif name in fields:
                self.note(key, "duplicate_field", f"{name!r} stands here twice")
            else:
                fields[name] = value
        for name in needed:
            if name not in fields:
                self.note(node, "missing_field", f"the field {name!r} is missing")
        return fields

    def _items(self, node: Node) -> list[Node]:
        self._count()
        if not isinstance(node, SequenceNode):
            self._wrong(node, "a list")
            return []
        return list(node.value)

    def _texts(self, node: Node, *, scalars: bool = False) -> list[tuple[str, Node]]:
        """The texts of a list; `scalars`: numbers and truth values are taken too, as they are compared."""
        nodes = self._items(node)
        if isinstance(node, SequenceNode) and not nodes:
            self.note(node, "empty_list")
        return [(text, one) for one in nodes if (text := self._text(one, scalars=scalars)) is not None]

    def _text(self, node: Node, *, scalars: bool = False) -> str | None:
        self._count()
        kind = node.tag.rpartition(":")[2]
        if isinstance(node, ScalarNode):
            if kind == "str":
                return str(node.value)
            if scalars and kind in {"int", "float", "bool"} and (read := self._read(node)) is not None:
                return read
        self._wrong(node, "a text")
        return None

    def _read(self, node: ScalarNode) -> str | None:
        """A number or a truth value as it is compared; None for what is none, whatever its tag says."""
        written = str(node.value)
        value = yaml_files.scalar_of(node)
        if value is None:
            return None
        read = str(value).lower()
        # 01234 is 668 to YAML, 12:30 is 750, 1_000 is 1000, and `yes` is true.
        if read != written.lower():
            self.note(node, "read_otherwise", f"{written!r} is read as {read}; quoted, it is a text", warning=True)
        return read

    def _name(self, node: Node | None) -> str:
        text = None if node is None else self._text(node)
        if node is not None and text is not None and not _NAME.fullmatch(text):
            self.note(node, "bad_name", f"{text[:50]!r} is no name: {_NAME_WORDS}")
        return text or ""

    def _unique(self, nodes: Iterable[Node], code: str) -> None:
        lines: dict[str, int] = {}
        for node in nodes:
            for name in _found(node, "name", scalar=True):
                if name.value in lines:
                    words = f"{name.value[:50]!r} is the name of another, in line {lines[name.value]}"
                    self.note(name, code, words)
                lines.setdefault(name.value, name.start_mark.line + 1)

    def _wrong(self, node: Node, needed: str) -> None:
        self.note(node, "wrong_type", f"{needed} is needed, not {described(node)}")

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _TooManyError


def _found(node: Node, name: str, *, scalar: bool = False) -> list[Node]:
    """What stands in this field of a mapping: the items of a list, or a scalar; nothing where it is something else."""
    if not isinstance(node, MappingNode):
        return []
    value = next((v for k, v in node.value if isinstance(k, ScalarNode) and k.value == name), None)
    if scalar:
        return [value] if isinstance(value, ScalarNode) else []
    return list(value.value) if isinstance(value, SequenceNode) else []
