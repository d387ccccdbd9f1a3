"""Whom or what a call is about: enough to say that it can be stitched, and to keep what is about one together.

The stitcher reads all the names of a call; here the first that counts is enough. What is refused here for want of a
subject it would refuse as well, and never the other way round: a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from murmurhash2 import murmurhash2

from pathline.domain.identifiers import THING_KINDS, usable, usable_email, usable_phone
from pathline.domain.vocabulary import THING_PROPERTIES

Fields = Mapping[str, Any]

NOTHING: Final[Fields] = {}

JAVA_SEED: Final = 0x9747B28C
POSITIVE: Final = 0x7FFFFFFF
_THINGS: Final = tuple((kind, THING_PROPERTIES[kind]) for kind in THING_KINDS)

Subject = tuple[bytes, int]
"""The key of a record, and its hash: murmur2 as Java clients take it, so that all agree on the partition."""


def subject(namespace: str, kind: str, value: object) -> Subject | None:
    """The person or thing that a raw value names, or None where it can't be used."""
    # Nothing is remembered: to find one name among the thousands that pass takes longer than to make its key again.
    text = usable(value)
    if text is None:
        return None
    key = f"{namespace}/{kind}/{text}".encode()
    return key, murmurhash2(key, JAVA_SEED) & POSITIVE


def person_named(namespace: str, anonymous_id: object, places: tuple[Fields, ...], device: object) -> Subject | None:
    """The strongest usable identifier below a user id, or None.

    Args:
        namespace: of the write key.
        anonymous_id: as sent.
        places: where an email or a phone may stand, the first that counts first.
        device: the `device` of the context.
    """
    told = [place for place in places if place]
    for place in told:
        if (given := place.get("email")) is not None and (value := usable_email(given)) is not None:
            return subject(namespace, "email", value)
    for place in told:
        if (given := place.get("phone")) is not None and (value := usable_phone(given, None)) is not None:
            return subject(namespace, "phone", value)
    if anonymous_id is not None and (named := subject(namespace, "anonymous_id", anonymous_id)) is not None:
        return named
    return subject(namespace, "device_id", device.get("id")) if isinstance(device, dict) else None


def thing_named(namespace: str, properties: Fields) -> Subject | None:
    """The first thing a track call names, or None."""
    told = first_thing(properties)
    if told is None:
        return None
    key = "/".join((namespace, *told)).encode()
    return key, murmurhash2(key, JAVA_SEED) & POSITIVE


def first_thing(properties: Fields) -> tuple[str, str] | None:
    """The kind of the first thing that these properties name, and its name; None: they name none."""
    for kind, name in _THINGS:
        if name in properties and (text := usable(properties[name])) is not None:
            return kind, text
    return None
