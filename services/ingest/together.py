"""The records of calls that came together: what most calls look like is gone through in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from murmurhash2 import murmurhash2

from pathline.contracts.accepted import encode_text
from pathline.domain.identifiers import are_plain, usable
from services.ingest import calls
from services.ingest.calls import MESSAGE_ID_MAX, Item, Receipt, Record
from services.ingest.codes import Refused
from services.ingest.demands import NOTHING_ASKED, Demands, asked, met
from services.ingest.subject import JAVA_SEED, NOTHING, POSITIVE, first_thing


class Taken(NamedTuple):
    """What became of calls that came together."""

    records: list[Record]
    refused: list[tuple[int, Refused]]
    """Each by its place among the calls."""
    clamped: int
    """Calls whose times were replaced."""


def take(raws: Sequence[bytes], items: Sequence[Item | Refused], receipt: Receipt) -> Taken:
    """What `calls.record` makes of each of these, which say themselves of which type they are.

    What a user or a visitor did, and what is told of a thing, at the time of receipt and in the surroundings of the
    call before it, is put together here: the same in fewer steps. A property test holds that it is the same.
    """
    records: list[Record] = []
    refused: list[tuple[int, Refused]] = []
    add, envelope, when = records.append, receipt.envelope, receipt.untimed or calls.untimed(receipt)
    known: dict[str, Demands | Refused] = {}
    plain = _are_plain(items)
    clamped, seen, traits, before, behind = 0, None, True, b"", b""
    for raw, item in zip(raws, items, strict=True):
        if type(item) is Refused:
            refused.append((len(records) + len(refused), item))
            continue
        if seen is not None and item.context == seen:
            named = _named(item, known, receipt, visitor=not traits, plain=plain)
            if named is not None:
                key = named.encode()
                value = b"".join((before, encode_text(item.message_id), behind, raw, b"}"))
                add(Record(key, murmurhash2(key, JAVA_SEED) & POSITIVE, value, when))
                continue
        record = calls.record(raw, item, item.type, receipt)
        if type(record) is Record:
            add(record)
            clamped += record.when.clamped
        elif type(record) is Refused:
            refused.append((len(records) + len(refused), record))
        if receipt.seen is not None and receipt.seen[0] is not seen:
            seen, around = receipt.seen
            traits = bool(around.traits)
            before, behind = envelope.usual(around.sender)
            if around.address is not None:
                seen = None
    return Taken(records, refused, clamped)


def _are_plain(items: Sequence[Item | Refused]) -> bool:
    """Whether each text that names a user, or a visitor where none is named, can be used as it is: nearly always."""
    names = [
        name
        for item in items
        if type(item) is Item
        and type(name := item.anonymous_id if item.user_id is None else item.user_id) is str
    ]  # fmt: skip
    return are_plain(names)


def _named(
    item: Item,
    known: dict[str, Demands | Refused],
    receipt: Receipt,
    *,
    visitor: bool,
    plain: bool,
) -> str | None:
    """Whom or what a call is about, as the key of its record; None: it is left to those who look closer.

    Also where the call has no id, or a time or a key of its own.

    Args:
        item: a call.
        known: what is asked of the events of this batch, as far as it was looked up.
        receipt: how the batch came.
        visitor: whether the surroundings name nobody.
        plain: whether the names of people can be used as they are.
    """
    message_id = item.message_id
    if (
        type(message_id) is not str
        or not 0 < len(message_id) <= MESSAGE_ID_MAX
        or item.timestamp is not None
        or item.original_timestamp is not None
        or item.sent_at is not None
        or item.write_key is not None
    ):
        return None
    report = False
    if item.type == "track":
        event = item.event
        if type(event) is not str:
            return None
        demands = known.get(event)
        if demands is None:
            demands = known[event] = asked(event, receipt.events)
        if demands is not NOTHING_ASKED:
            told = (
                demands
                if type(demands) is Refused
                else met(demands, event, item.properties or NOTHING, trusted=receipt.trusted)
            )
            if type(told) is not bool:
                return None
            report = told
    elif item.type != "page":
        return None
    if report:
        thing = first_thing(item.properties or NOTHING)
        return None if thing is None else f"{receipt.namespace}/{thing[0]}/{thing[1]}"
    kind, named = "user_id", item.user_id
    if named is None and visitor and not (item.properties or item.traits):
        kind, named = "anonymous_id", item.anonymous_id
    name = named if plain and type(named) is str else usable(named)
    return None if name is None else f"{receipt.namespace}/{kind}/{name}"
