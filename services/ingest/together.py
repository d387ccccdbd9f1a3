"""The records of calls that came together: what most calls look like is gone through in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from murmurhash2 import murmurhash2

from pathline.contracts.accepted import encode_text
from pathline.domain.identifiers import usable
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
    start, trusted, clamped = f"{receipt.namespace}/", receipt.trusted, 0
    user, visitor = f"{start}user_id/", f"{start}anonymous_id/"
    known: dict[str, Demands | Refused] = {}
    seen, traits, before, behind = None, True, b"", b""
    for raw, item in zip(raws, items, strict=True):
        if type(item) is Refused:
            refused.append((len(records) + len(refused), item))
            continue
        kind, message_id = item.type, item.message_id
        if (
            item.context == seen
            and item.timestamp is None
            and item.original_timestamp is None
            and item.sent_at is None
            and item.write_key is None
            and type(message_id) is str
            and 0 < len(message_id) <= MESSAGE_ID_MAX
        ):
            # None: it is left to those who look closer.
            report: bool | Refused | None = None
            if kind == "track":
                event = item.event
                if type(event) is str:
                    if event not in known:
                        known[event] = asked(event, receipt.events)
                    demands = known[event]
                    if demands is NOTHING_ASKED:
                        report = False
                    elif type(demands) is Demands:
                        report = met(demands, event, item.properties or NOTHING, trusted=trusted)
            elif kind == "page":
                report = False
            name: str | None = None
            if report is False:
                named, prefix = item.user_id, user
                if named is None and not (traits or item.properties or item.traits):
                    named, prefix = item.anonymous_id, visitor
                if named is not None:
                    name = usable(named)
            elif report is True and (thing := first_thing(item.properties or NOTHING)) is not None:
                prefix, name = f"{start}{thing[0]}/", thing[1]
            if name is not None:
                key = (prefix + name).encode()
                value = b"".join((before, encode_text(message_id), behind, raw, b"}"))
                add(Record(key, murmurhash2(key, JAVA_SEED) & POSITIVE, value, when))
                continue
        record = calls.record(raw, item, kind, receipt)
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
