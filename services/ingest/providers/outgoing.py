"""Calls in Segment's form, as translations make them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from services.ingest.calls import MESSAGE_ID_MAX
from services.ingest.providers.payload import Fields, Table, fingerprint, picked

TOPIC_MAX: Final = 100
"""Characters of a topic that nobody knows, in an event's name."""


class Person(NamedTuple):
    """Who is named. `traits` may have email, phone and names; the country says what a phone without a prefix is."""

    user_id: str | None = None
    traits: Mapping[str, Any] = MappingProxyType({})
    country: str | None = None


NOBODY: Final = Person()


class _Call(msgspec.Struct, rename="camel", omit_defaults=True):
    type: str
    message_id: str
    event: str | None = None
    timestamp: str | None = None
    user_id: str | None = None
    properties: Fields | None = None
    traits: Fields | None = None
    context: Fields | None = None


_encode: Final = msgspec.json.Encoder().encode


def person(payload: Fields, user_id: Table, traits: Table, country: Table) -> Person:
    """Who is named in a payload, by the tables of a provider."""
    return Person(
        picked(user_id, payload).get("user_id"), picked(traits, payload), picked(country, payload).get("country")
    )  # fmt: skip


def message_id(*parts: object) -> str:
    """A message id of these parts; a hash of them where it would be too long."""
    told = "/".join(map(str, parts))
    return told if len(told) <= MESSAGE_ID_MAX else "h-" + fingerprint(*parts)


def track(
    event: str, told_as: str, when: str | None, properties: Fields, who: Person = NOBODY, channel: str | None = None
) -> bytes:  # fmt: skip
    """A track call. Without a time, what it tells is taken to be of its arrival."""
    context: Fields = {}
    if who.traits:
        context["traits"] = _traits(who)
    if channel is not None:
        context["channel"] = channel
    return _encode(
        _Call(
            "track",
            told_as,
            event,
            when,
            who.user_id,
            {name: value for name, value in properties.items() if value is not None and value != []},
            context=context or None,
        )
    )


def identify(told_as: str, when: str | None, who: Person) -> bytes:
    """An identify call."""
    return _encode(_Call("identify", told_as, timestamp=when, user_id=who.user_id, traits=_traits(who) or None))


def kept(provider: str, topic: str, told_as: str, when: str | None, raw: bytes, who: Person = NOBODY) -> bytes:
    """What a topic that the mapping has no event for becomes: named after it, its payload kept as it is.

    The payload stands below the properties and not in their place: a provider's `order_id` is its own number, not the
    one by which an order goes here.
    """
    event = f"{provider} {topic}"[: len(provider) + 1 + TOPIC_MAX]
    return track(event, told_as, when, {"payload": msgspec.Raw(raw)}, who)


def _traits(who: Person) -> Fields:
    traits: dict[str, Any] = dict(who.traits)
    if who.country is not None:
        traits["address"] = {"country": who.country}
    return traits
