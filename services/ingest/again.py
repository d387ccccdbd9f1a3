"""A call that was refused, judged once more: by the checks of today, and as of the time when it was received."""

from __future__ import annotations

from datetime import datetime

from pathline.contracts.letters import Around
from services.ingest import calls, clock
from services.ingest.batches import BAD_TIME
from services.ingest.calls import Record
from services.ingest.codes import Refused
from services.ingest.passes import Pass
from services.ingest.receipts import NO_HISTORY, receipt_of, shared_context
from services.ingest.subject import NOTHING


def again(
    raw: bytes, around: Around, key: Pass, call_bytes_max: int, *, namespace: str, received_at: datetime
) -> Record | Refused:
    """The record of a call, as the collector would have made it had it taken the call then.

    Args:
        raw: the call.
        around: what stood around it.
        key: who sent it, as that may send today.
        call_bytes_max: of the collector.
        namespace: of then, so that it names the same people and things as what was taken with it.
        received_at: of then. The source and the message id, by which a call counts once, stay the same, too.
    """
    shared, context = around.context, NOTHING
    if shared is not None:
        read = shared_context(shared, call_bytes_max, key.addresses)
        if isinstance(read, Refused):
            return read
        shared, context = read
    item = calls.read(raw, key.call_bytes(call_bytes_max, shared))
    if isinstance(item, Refused):
        return item
    # A batch says so for its calls; a single call for itself.
    historical = around.historical or (around.type is not None and item.historical is True)
    if historical and not key.trusted:
        return NO_HISTORY
    try:
        sent_at = None if around.sent_at is None else clock.parse(around.sent_at)
    except ValueError:
        return BAD_TIME
    receipt = receipt_of(
        key,
        call_bytes_max,
        received_at,
        namespace=namespace,
        historical=historical,
        private=around.privacy_signal,
        sent_at=sent_at,
        shared=shared,
        context=context,
    )
    return calls.record(raw, item, around.type or item.type, receipt)
