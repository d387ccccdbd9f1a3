"""Whether something that could not be used tells of a person: it was never folded, so it has to be looked through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pathline.domain.identifiers import Identifier, usable

SHORTEST: Final = 5
"""Characters of a name that is looked for in what is no JSON; a shorter one is met by chance."""

_SPEAKING: Final = frozenset({"email", "phone", "anonymous_id", "device_id"})
"""Kinds whose values are unlike anything else, wherever they stand."""

_NUMBERED: Final = ("id", "number", "key", "name")
"""How the field of an id ends, in any spelling: `7` elsewhere may be an amount."""


class Sought:
    """The names of a person and of what they own, as they may be written."""

    def __init__(self, names: Iterable[Identifier]) -> None:
        """Look for these."""
        self._speaking: set[str] = set()
        self._plain: set[str] = set()
        self._digits: set[str] = set()
        for name in names:
            (self._speaking if name.kind in _SPEAKING else self._plain).add(name.value.casefold())
            if name.kind == "phone":
                self._digits.add(_digits(name.value))

    def in_json(self, body: Any) -> bool:
        """Whether any value of this JSON is one of the names."""
        return any(self._is(field, value) for field, value in _leaves(body))

    def in_bytes(self, body: bytes) -> bool:
        """Whether the text of what is no JSON has one of the names."""
        text = body.decode("utf-8", "replace").casefold()
        return any(name in text for name in self._speaking | self._plain if len(name) >= SHORTEST)

    def _is(self, field: str, value: object) -> bool:
        text = usable(value)
        if text is None:
            return False
        folded = text.casefold()
        if folded in self._speaking or (self._digits and _digits(folded) in self._digits):
            return True
        return folded in self._plain and field.casefold().endswith(_NUMBERED)


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit()) if any(c.isdigit() for c in text) else text


def _leaves(body: Any) -> Iterator[tuple[str, object]]:
    """Every value that is no list and no object, with the field it stands in."""
    left = [("", body)]
    while left:
        field, value = left.pop()
        if isinstance(value, dict):
            left += [(str(key), one) for key, one in value.items()]
        elif isinstance(value, list):
            left += [(field, one) for one in value]
        else:
            yield field, value
