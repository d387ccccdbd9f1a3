"""Names of people and of things: what is accepted as one, and the id each gets.

A *person* is met under identifiers (namespace, kind, value) of different strength; a *thing*
(order, parcel, checkout, invoice, case, dispute) has exactly one. Both get an id that is a hash of
the name, so that two processes, a replay and a backtest agree on it without asking anyone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID

import phonenumbers
from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 - a UUID in all that it does

MAX_VALUE_BYTES: Final = 200
"""Longest identifier value, in bytes of UTF-8. A longer one is refused as a name; its touchpoint is kept."""

_SURELY_SHORT: Final = MAX_VALUE_BYTES // 4
"""So many characters fit, whichever they are."""

_QUOTES: Final = "\"'"

PERSON_KINDS: Final = ("user_id", "email", "phone", "anonymous_id", "device_id")
"""Kinds of identifiers, strongest first. The position in this tuple is the strength, 0 the strongest."""

THING_KINDS: Final = ("case", "parcel", "checkout", "invoice", "dispute", "order")
"""Kinds of entities, in the order in which a report belongs to the first it names."""

MIN_PHONE_DIGITS: Final = 5
"""Fewer digits are an extension, not a telephone."""

STRENGTH: Final = {kind: strength for strength, kind in enumerate(PERSON_KINDS)}
NAMED: Final = frozenset({"user_id", "email", "phone"})
"""Kinds that name somebody; the others only recognise a browser or a device."""

REFUSED_VALUES: Final = frozenset(
    {
        "anonymous", "guest", "null", "none", "nil", "undefined", "nan", "true", "false", "0", "-1",
        "id", "not_authenticated", "email", "distinct_id", "[object object]", "",
    }
)  # fmt: skip
"""What broken integrations send in place of an id, case-folded. Linking on one would fuse strangers."""


class Identifier(NamedTuple):
    """A name of a person or of a thing. `kind` is one of PERSON_KINDS or THING_KINDS."""

    namespace: str
    kind: str
    value: str

    @property
    @lru_cache(maxsize=65_536)  # noqa: B019 - a name is a value; most are met again soon
    def id(self) -> UUID:
        """The id of its strand or entity: 128 bits of BLAKE2b over the three parts."""
        return name_id(self.namespace, self.kind, self.value)


def name_id(namespace: str, kind: str, value: str) -> UUID:
    """The id of a person's or a thing's name, equal in every process."""
    return _digest(f"{namespace}\x1f{kind}\x1f{value}")


def touchpoint_id(source: str, message_id: str) -> UUID:
    """The id of a touchpoint: message ids are unique within their source (a write key) only."""
    return _digest(f"{source}\x1f{message_id}")


def _digest(name: str) -> UUID:
    # A UUID written in C, which keeps its hash: made, looked up and handed to PostgreSQL in a third of the time. A
    # touchpoint has three or four, and each is looked up in a dozen tables.
    made: UUID = QuickUUID(blake2b(name.encode("utf-8", "replace"), digest_size=16).digest())
    return made


def usable(value: object) -> str | None:
    """The value as it may be used for a name, or None where it must be refused.

    Numbers are written as text; a NUL becomes U+FFFD (PostgreSQL stores none), the text is put
    into NFC so that one name has one spelling.
    """
    if type(value) is not str:
        if type(value) is not int:
            return None
        value = str(value)
    text = value.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode()
    if "\0" in text:
        text = text.replace("\0", "�")
    bare = text.strip(_QUOTES)
    if bare is not text:
        bare = bare.strip()
    if bare.casefold() in REFUSED_VALUES or (bare[0] == "0" and not bare.strip("0")):
        return None
    return text if len(text) <= _SURELY_SHORT or len(text.encode()) <= MAX_VALUE_BYTES else None


def are_plain(names: Sequence[str]) -> bool:
    """Whether `usable` gives each of these as it is, as one look at all of them says. A no says nothing of any one."""
    text = " ".join(names)
    return (
        text.isascii()
        and text.isprintable()
        and '"' not in text
        and "'" not in text
        and len(folded := text.casefold().split(" ")) == len(names)
        and REFUSED_VALUES.isdisjoint(folded)
        and max(map(len, names)) <= _SURELY_SHORT
        and not ((text[0] == "0" or " 0" in text) and any(not name.strip("0") for name in names))
    )


def usable_email(value: object) -> str | None:
    """A mailbox, case-folded, or None."""
    text = usable(value)
    if text is None or "@" not in text[1:-1]:
        return None
    return text.casefold()


def usable_phone(value: object, region: str | None) -> str | None:
    """A telephone number in E.164 where its region is known, else its digits, or None.

    Args:
        value: as sent.
        region: ISO 3166 alpha-2 code of the sender's country, where known.
    """
    text = usable(value)
    return None if text is None else _e164(text, region)


@lru_cache(maxsize=16_384)
def _e164(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        digits = "".join(c for c in text if c.isdigit())
        return digits if len(digits) >= MIN_PHONE_DIGITS else None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def person(namespace: str, kind: str, value: object, region: str | None = None) -> Identifier | None:
    """The identifier of a person for a raw value, normalised for its kind, or None where refused."""
    match kind:
        case "email":
            text = usable_email(value)
        case "phone":
            text = usable_phone(value, region)
        case _:
            text = usable(value)
    return None if text is None else Identifier(namespace, kind, text)


def thing(namespace: str, kind: str, value: object) -> Identifier | None:
    """The entity for a raw value, or None where refused."""
    text = usable(value)
    return None if text is None else Identifier(namespace, kind, text)
