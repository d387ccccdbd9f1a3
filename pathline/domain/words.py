"""What an operator may say of who is whom, and what comes of it. An operator's word outranks every touchpoint's.

There are two kinds of words. An identifier is *given* a stronger parent, or none: of a user_id the latter
says that no alias of it holds. And two user_ids are *united*. Both hold until they are taken back, or until another
word about the same is said. So who is whom depends on the touchpoints there are and the words that hold,
and not on which came first.
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import msgspec

from pathline.domain.identifiers import STRENGTH, Identifier
from pathline.domain.people import MAX_JOINED

MAX_REASON: Final = 500
"""Characters of why an operator says something."""

ActKind = Literal["split", "merge", "take_back"]
ACT_KINDS: Final[tuple[ActKind, ...]] = ("split", "merge", "take_back")


class Said(msgspec.Struct, frozen=True):
    """Who says something, from where and why."""

    actor: str
    origin: str
    """`api`, `console` or `command`."""
    reason: str


class Give(msgspec.Struct, frozen=True):
    """An identifier gets this parent, or none."""

    child: UUID
    parent: UUID | None


class Unite(msgspec.Struct, frozen=True):
    """Two user_ids are one person; `a` < `b`, so a pair has one row."""

    a: UUID
    b: UUID


class Impossible(msgspec.Struct, frozen=True):
    """It can't be said; `code` is stable."""

    code: str
    message: str


def split(name: Identifier, to: Identifier | None) -> Give | Impossible:
    """Take an identifier, with all that hangs on it, from its customer: to another one, or to be one by itself."""
    if to is None:
        return Give(name.id, None)
    if to.namespace != name.namespace:
        return _elsewhere()
    if STRENGTH[to.kind] >= STRENGTH[name.kind]:
        return Impossible("parent_not_stronger", f"a {name.kind} belongs to a stronger kind than {to.kind}, or to none")
    return Give(name.id, to.id)


def merge(one: Identifier, other: Identifier) -> Give | Unite | Impossible:
    """Make one customer of two, given the top of each: the weaker belongs to the stronger, two user_ids are united."""
    if one.namespace != other.namespace:
        return _elsewhere()
    if one.kind == other.kind == "user_id":
        return Unite(*sorted((one.id, other.id)))
    if one.kind == other.kind:
        return Impossible(
            "merge_needs_stronger",
            f"both are known by {one.kind} alone, and two of a kind belong to each other only where they are user_ids",
        )
    weaker, stronger = sorted((one, other), key=lambda name: STRENGTH[name.kind], reverse=True)
    return Give(weaker.id, stronger.id)


def too_large(size: int) -> Impossible | None:
    """Whether so many user_ids are too many for one customer."""
    if size <= MAX_JOINED:
        return None
    return Impossible("join_too_large", f"this would make {size} user_ids one; {MAX_JOINED} are allowed")


def _elsewhere() -> Impossible:
    return Impossible("other_namespace", "the two are of different namespaces, whose people are kept apart")
