"""The records of calls that came together: what most calls look like is gone through in one loop."""

from __future__ import annotations

from collections.abc import Sequence

from murmurhash2 import murmurhash2

from pathline.contracts.accepted import encode_text
from pathline.domain.identifiers import usable
from services.ingest import calls
from services.ingest.calls import MESSAGE_ID_MAX, Item, Receipt, Record
from services.ingest.codes import Refused
from services.ingest.subject import JAVA_SEED, POSITIVE


def records(raws: Sequence[bytes], items: Sequence[Item | Refused], receipt: Receipt) -> list[Record | Refused]:
    """What `calls.record` makes of each of these, which say themselves of which type they are.

    What a user or a visitor did at the time of receipt, in the surroundings of the call before it, is put together
    here: the same in fewer steps. A property test holds that it is the same.
    """
    made: list[Record | Refused] = []
    add, envelope, when = made.append, receipt.envelope, receipt.untimed or calls.untimed(receipt)
    user, visitor = f"{receipt.namespace}/user_id/", f"{receipt.namespace}/anonymous_id/"
    quiet: set[str] = set()  # names of events of which nothing is asked
    seen, traits, before, behind = None, True, b"", b""
    for raw, item in zip(raws, items, strict=True):
        if type(item) is Refused:
            add(item)
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
            and (kind == "page" or (kind == "track" and type(item.event) is str and item.event in quiet))
        ):
            named, prefix = item.user_id, user
            if named is None and not (traits or item.properties or item.traits):
                named, prefix = item.anonymous_id, visitor
            if named is not None and (name := usable(named)) is not None:
                key = (prefix + name).encode()
                value = b"".join((before, encode_text(message_id), behind, raw, b"}"))
                add(Record(key, murmurhash2(key, JAVA_SEED) & POSITIVE, value, when))
                continue
        add(calls.record(raw, item, kind, receipt))
        if kind == "track" and calls.asks_nothing(item.event, receipt):
            quiet.add(item.event)
        if receipt.seen is not None and receipt.seen[0] is not seen:
            seen, around = receipt.seen
            traits = bool(around.traits)
            before, behind = envelope.usual(around.sender)
            if around.address is not None:
                seen = None
    return made
