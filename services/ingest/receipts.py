"""What is noted of calls that came together, under a key as it may send."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pathline.contracts import accepted
from pathline.storage.keys import Addresses
from services.ingest import addresses, calls
from services.ingest.calls import Receipt
from services.ingest.codes import Refused
from services.ingest.passes import Pass
from services.ingest.senders import sender_of
from services.ingest.subject import NOTHING, Fields

NO_HISTORY: Final = Refused("needs_server_key", "only a server key sends history")


def shared_context(raw: bytes, most_bytes: int, keep: Addresses) -> tuple[bytes, Fields] | Refused:
    """The context of a batch, of at most so many bytes: as it is written with each of its calls, and decoded."""
    context = calls.read_context(raw, most_bytes)
    if isinstance(context, Refused):
        return context
    # By its name: of two values the decoder shows the last alone.
    return (addresses.in_context(raw, context["ip"], keep) if keep != "full" and "ip" in context else raw), context


def receipt_of(
    key: Pass,
    call_bytes_max: int,
    received_at: datetime,
    *,
    namespace: str,
    historical: bool,
    private: bool,
    sent_at: datetime | None = None,
    shared: bytes | None = None,
    context: Fields = NOTHING,
) -> Receipt:
    """The receipt of calls of this key.

    Args:
        key: who sends.
        call_bytes_max: of the collector; the key may have less.
        received_at: when they came.
        namespace: what their names are names in.
        historical: whether they tell what is long over.
        private: whether the sender's browser sends Global Privacy Control.
        sent_at: of their batch.
        shared: the context of their batch, as it is written with each of them.
        context: the same, decoded.
    """
    envelope = accepted.Envelope(
        source=key.name,
        namespace=namespace,
        trusted=key.trusted,
        received_at=received_at,
        historical=historical,
        # A server's own request says nothing of the person's browser.
        privacy_signal=private and not key.trusted,
        shared=shared,
    )
    return Receipt(
        envelope,
        namespace,
        key.trusted,
        received_at,
        key.call_bytes(call_bytes_max, shared),
        sender_of(context.get("library")) or ("server" if key.trusted else "web"),
        sent_at,
        context,
        key.events,
        key.addresses,
    )
