"""YAML that a business writes, read with the place of everything in it. What is wrong has a line and a column."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from yaml.nodes import Node, ScalarNode

STANDARD_INPUT: Final = Path("-")

MAX_BYTES: Final = 65_536
"""Size of one file."""

_KINDS: Final = {"int": "a number", "float": "a number", "bool": "a truth value", "timestamp": "a date"}
"""What a value is that YAML takes for no text, by its tag."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """Something wrong at a place in a file; lines and columns count from 1, and are 0 for the file as a whole."""

    line: int
    column: int
    code: str
    message: str
    warning: bool = False
    """Whether the file can be used all the same."""

    @property
    def place(self) -> str:
        """`:3:5`, as editors and compilers write it; nothing for the whole file."""
        return f":{self.line}:{self.column}" if self.line else ""


class FileError(ValueError):
    """A file that cannot be read as YAML, with the problem that stands in the way."""

    def __init__(self, problem: Problem) -> None:
        """Carry the `problem`."""
        where = f"line {problem.line}, column {problem.column}: " if problem.line else ""
        super().__init__(where + problem.message)
        self.problem = problem


def compose(path: Path) -> Node | None:
    """The nodes of a file, or of standard input for `-`; None for one that holds nothing.

    Raises:
        FileError: it cannot be read, is too large, is not UTF-8, not YAML or too deep.
    """
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(_problem("no_file", error.strerror or str(error))) from error
    return compose_bytes(data)


def compose_bytes(data: bytes) -> Node | None:
    """The same of what a file holds. Raises FileError."""
    if len(data) > MAX_BYTES:
        raise FileError(_problem("file_too_large", f"larger than {MAX_BYTES} bytes"))
    text = ""
    try:
        text = data.decode("utf-8-sig")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise FileError(_problem("not_utf8", f"byte 0x{data[error.start]:02x} is no UTF-8", line, column)) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        words = f"the character U+{error.character:04X} may not be in a YAML file"
        raise FileError(_problem("not_yaml", words, line, column)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise FileError(_problem("not_yaml", said, *(place_of(mark) if mark else ()))) from error
    except RecursionError as error:
        raise FileError(_problem("not_yaml", "nested too deep")) from error


def builtins_of(node: Node | None) -> Any:
    """Dicts, lists and scalars of a node, as `yaml.safe_load` gives them. Raises FileError."""
    if node is None:
        return None
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or node.start_mark
        raise FileError(_problem("not_yaml", str(error.problem), *place_of(mark))) from error
    except (ValueError, RecursionError) as error:
        raise FileError(_problem("not_yaml", str(error), *place_of(node.start_mark))) from error


def scalar_of(node: ScalarNode) -> int | float | bool | None:
    """The number or truth value of a node; None for what is none, and for a number that nobody could write out."""
    try:
        value = yaml.constructor.SafeConstructor().construct_document(node)
        str(value)
    except (yaml.MarkedYAMLError, ValueError, LookupError):
        return None
    return value if isinstance(value, int | float) else None


def said(path: Path, problem: Problem) -> str:
    """A problem as a line: where, what, its code."""
    return f"{path}{problem.place}: {'warning: ' if problem.warning else ''}{problem.message} [{problem.code}]"


def like(text: str, known: Iterable[str]) -> str:
    """The known word that may have been meant, as the end of a sentence; nothing where none is like it."""
    found = get_close_matches(text.lower(), list(known), 1)
    return f"; is it {found[0]!r}?" if found else ""


def described(node: Node) -> str:
    """What a node is, in words."""
    kind = node.tag.rpartition(":")[2]
    words = {"seq": "a list", "map": "a mapping", "str": "a text", "null": "nothing"}.get(kind)
    if words is not None:
        return words
    words = _KINDS.get(kind, "something of another kind")
    return f"{words}; quoted, as '{node.value[:50]}', it is a text" if isinstance(node, ScalarNode) else words


def place_of(mark: yaml.Mark) -> tuple[int, int]:
    """(line, column), from 1."""
    return mark.line + 1, mark.column + 1


def _problem(code: str, message: str, line: int = 0, column: int = 0) -> Problem:
    return Problem(line, column, code, message)
