"""Whom or what a call is about: enough to say that it can be stitched, and to keep what is about one together.

The stitcher reads all the names of a call; here the first that counts is enough. What is refused here for want of a
subject it would refuse as well, and never the other way round: a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pathline.domain.identifiers import THING_KINDS, usable, usable_email, usable_phone
from pathline.domain.vocabulary import THING_PROPERTIES

Fields = Mapping[str, Any]

NOTHING: Final[Fields] = {}

_THINGS: Final = tuple((kind, THING_PROPERTIES[kind]) for kind in THING_KINDS)


def person_named(user_id: object, anonymous_id: object, places: tuple[Fields, ...], device: object) -> str | None:
    """The strongest usable identifier as `kind/value`, or None.

    Args:
        user_id: as sent.
        anonymous_id: as sent.
        places: where an email or a phone may stand, the first that counts first.
        device: the `device` of the context.
    """
    if user_id is not None and (value := usable(user_id)) is not None:
        return f"user_id/{value}"
    for place in places:
        if (given := place.get("email")) is not None and (value := usable_email(given)) is not None:
            return f"email/{value}"
    for place in places:
        if (given := place.get("phone")) is not None and (value := usable_phone(given, None)) is not None:
            return f"phone/{value}"
    if anonymous_id is not None and (value := usable(anonymous_id)) is not None:
        return f"anonymous_id/{value}"
    if isinstance(device, dict) and (value := usable(device.get("id"))) is not None:
        return f"device_id/{value}"
    return None


def thing_named(properties: Fields) -> str | None:
    """The first thing a track call names, as `kind/value`, or None."""
    for kind, name in _THINGS:
        if name in properties and (value := usable(properties[name])) is not None:
            return f"{kind}/{value}"
    return None
