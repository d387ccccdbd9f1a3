"""What a dialect makes of a request, taken as far as the core: as the collector takes it and the stitcher reads it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import strategies as st

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from services.ingest import calls
from services.ingest.calls import Item, Receipt, Record
from services.ingest.codes import CODES, Refused
from services.ingest.dialects import Asked, Translated

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
JSON = {b"content-type": b"application/json"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["", "\0", "null", "1665398554151", "-1", "9" * 15, "9" * 30, "{}", "e30=", "http://[", "1x1"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
deep = st.just("[" * 2_000 + "]" * 2_000)


def asked(
    body: Any = b"",
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: dict[bytes, bytes] | None = None,
    shown: tuple[str, ...] = (),
) -> Asked:
    """A request; a body that is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Asked(method, path, query.encode(), headers if headers is not None else JSON, raw, shown)


def calls_of(translated: Translated | Refused) -> list[dict[str, Any]]:
    """The calls, decoded; each of them one."""
    assert isinstance(translated, Translated), translated
    return [json.loads(call) for call, _ in translated.calls if isinstance(call, bytes)]


def only(translated: Translated | Refused) -> dict[str, Any]:
    """The one call."""
    [call] = calls_of(translated)
    return call


def refused(translated: Translated | Refused) -> list[str | None]:
    """The code of each item that is no call."""
    assert isinstance(translated, Translated), translated
    return [call.code if isinstance(call, Refused) else None for call, _ in translated.calls]


def taken(translated: Translated | Refused, *, trusted: bool = True) -> list[Touchpoint | str]:
    """What the core sees of each call, or the code for which it is refused."""
    if isinstance(translated, Refused):
        assert translated.code in CODES
        return [translated.code]
    found: list[Touchpoint | str] = []
    for call, _ in translated.calls:
        envelope = accepted.Envelope(source="shop", namespace="default", trusted=trusted, received_at=NOW)
        receipt = Receipt(envelope, "default", trusted, NOW, 32_768, "server" if trusted else "web")
        item = calls.read(call, 32_768) if isinstance(call, bytes) else call
        record = (
            calls.record(call, item, item.type, receipt) if isinstance(item, Item) and isinstance(call, bytes) else item
        )
        if isinstance(record, Refused):
            assert record.code in CODES
            found.append(record.code)
        else:
            assert isinstance(record, Record)
            found.append(to_touchpoint(accepted.decode(record.value)))
    return found


def touchpoint(translated: Translated | Refused, *, trusted: bool = True) -> Touchpoint:
    """The one touchpoint."""
    [one] = taken(translated, trusted=trusted)
    assert isinstance(one, Touchpoint), one
    return one
