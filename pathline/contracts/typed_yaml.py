"""A YAML tree held against a msgspec type: every mistake in its form at once, each with its place.

`msgspec.convert` stops at the first mistake and knows no lines. This walks the same type over the nodes, goes on after
each mistake, and remembers where every field stands, so that what is wrong with its meaning has a place, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import inspect
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pathline.contracts import yaml_files
from pathline.contracts.yaml_files import Problem, described, like

MAX_PARTS: Final = 20_000
"""Parts of a file that are looked at, each as often as it is referred to: aliases of aliases make a few lines many."""

_STR: Final = "tag:yaml.org,2002:str"
_WORDS: Final[dict[type[inspect.Type], tuple[frozenset[str], str]]] = {
    inspect.StrType: (frozenset({"str"}), "a text"),
    inspect.IntType: (frozenset({"int"}), "a whole number"),
    inspect.FloatType: (frozenset({"int", "float"}), "a number"),
    inspect.BoolType: (frozenset({"bool"}), "true or false"),
    inspect.NoneType: (frozenset({"null"}), "nothing"),
}
"""For each scalar the tags that are it, and what it is called."""


class TooManyPartsError(Exception):
    """More parts than are looked at."""


class Form:
    """A tree that was looked through."""

    def __init__(self, node: Node, of: type) -> None:
        """Hold it against a type.

        Raises:
            TooManyPartsError: its aliases make more than MAX_PARTS parts of it.
        """
        self.problems: list[Problem] = []
        self._places: dict[str, Node] = {"": node}
        self._parts = 0
        self._walk(node, inspect.type_info(of), "")

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Line and column of every field."""
        return {path: yaml_files.place_of(node.start_mark) for path, node in self._places.items()}

    def note(self, field: str, code: str, message: str, within: tuple[int, int] | None = None) -> None:
        """Something is wrong with a field, as in `deadline.until[0].fact`; `within`: at this line and column of it."""
        node = self._at(field)
        line, column = yaml_files.place_of(node.start_mark)
        if within is not None and isinstance(node, ScalarNode):
            line, column = _inside(node, line, column, within)
        self.problems.append(Problem(line, column, code, f"{field}: {message}"))

    def _at(self, field: str) -> Node:
        """The node of a field, or of what it should be in."""
        while field not in self._places:
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        return self._places[field]

    def _walk(self, node: Node, of: inspect.Type, path: str) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise TooManyPartsError
        self._places[path] = node
        if isinstance(of, inspect.AnyType):
            self._any(node, path)
        elif isinstance(of, inspect.StructType):
            self._struct(node, of, path)
        elif isinstance(of, inspect.DictType):
            self._dict(node, of, path)
        elif isinstance(of, inspect.VarTupleType):
            self._list(node, of, path)
        else:
            self._one_of(node, of, path)

    def _one_of(self, node: Node, of: inspect.Type, path: str) -> None:
        """A scalar, or one of several types of which at most one is no scalar."""
        types = of.types if isinstance(of, inspect.UnionType) else (of,)
        kind = node.tag.rpartition(":")[2]
        if isinstance(node, ScalarNode):
            if any(kind in _WORDS[type(one)][0] for one in types if type(one) in _WORDS):
                return
            literals = [one for one in types if isinstance(one, inspect.LiteralType)]
            if literals:
                self._literal(node, [str(value) for one in literals for value in one.values], path)
                return
        whole = [one for one in types if type(one) not in _WORDS and not isinstance(one, inspect.LiteralType)]
        if whole:
            self._walk(node, whole[0], path)
            return
        named = [_WORDS[type(one)][1] for one in types if type(one) in _WORDS and not isinstance(one, inspect.NoneType)]
        self._wrong(node, " or ".join(dict.fromkeys(named)) or "a word", path)

    def _literal(self, node: ScalarNode, known: list[str], path: str) -> None:
        if node.value not in known:
            words = f"{node.value[:50]!r} is none of {', '.join(known)}{like(node.value, known)}"
            self._note(node, "not_one_of", path, words)

    def _struct(self, node: Node, of: inspect.StructType, path: str) -> None:
        known = {field.encode_name: field for field in of.fields}
        if not isinstance(node, MappingNode):
            self._wrong(node, f"a mapping with {', '.join(known)}", path)
            return
        met: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            field = known.get(name)
            if field is None:
                self._note(key, "unknown_field", path, f"there is no field {str(name)[:50]!r} here{like(name, known)}")
            elif name in met:
                self._note(key, "duplicate_field", path, f"{name!r} stands here twice")
            else:
                self._walk(value, field.type, f"{path}.{name}" if path else name)
            met.add(name)
        for name, field in known.items():
            if field.required and name not in met:
                self._note(node, "missing_field", path, f"the field {name!r} is missing")

    def _dict(self, node: Node, of: inspect.DictType, path: str) -> None:
        if not isinstance(node, MappingNode):
            self._wrong(node, "a mapping", path)
            return
        met: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag != _STR:
                self._wrong(key, "a text", path)
                continue
            if key.value in met:
                self._note(key, "duplicate_field", path, f"{key.value[:50]!r} stands here twice")
            met.add(key.value)
            self._walk(value, of.value_type, f"{path}.{key.value}")

    def _list(self, node: Node, of: inspect.VarTupleType, path: str) -> None:
        if not isinstance(node, SequenceNode):
            self._wrong(node, "a list", path)
            return
        for place, item in enumerate(node.value):
            self._walk(item, of.item_type, f"{path}[{place}]")

    def _any(self, node: Node, path: str) -> None:
        """Anything may stand here. A time is the text that was written, as it is in a call."""
        if isinstance(node, ScalarNode):
            if node.tag.endswith(":timestamp"):
                node.tag = _STR
            return
        items: Iterable[tuple[str, Node]] = ()
        if isinstance(node, MappingNode):
            items = [(f"{path}.{getattr(key, 'value', '')}", value) for key, value in node.value]
        elif isinstance(node, SequenceNode):
            items = [(f"{path}[{place}]", item) for place, item in enumerate(node.value)]
        for where, value in items:
            self._walk(value, inspect.AnyType(), where)

    def _wrong(self, node: Node, needed: str, path: str) -> None:
        self._note(node, "wrong_type", path, f"{needed} is needed, not {described(node)}")

    def _note(self, node: Node, code: str, path: str, words: str) -> None:
        line, column = yaml_files.place_of(node.start_mark)
        self.problems.append(Problem(line, column, code, f"{path}: {words}" if path else words))


def _inside(node: ScalarNode, line: int, column: int, within: tuple[int, int]) -> tuple[int, int]:
    """The place within a text, as far as it can be told: a folded one says where it begins."""
    if node.start_mark.line != node.end_mark.line:
        return line, column
    if within[0] > 1:
        return line, column
    return line, column + within[1] - 1 + (1 if node.style in {"'", '"'} else 0)
