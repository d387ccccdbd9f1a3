"""What decodes a record in a Pathline that knows version 1 only, as it was: a fixture, not to be brought up to date."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Call(msgspec.Struct, rename="camel", gc=False):
    type: str = "track"
    event: Any = None
    name: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    traits: msgspec.Raw = msgspec.Raw(b"{}")
    context: Any = None


class Accepted(msgspec.Struct, gc=False):
    v: int
    source: str
    namespace: str
    trusted: bool
    library: str
    received_at: datetime
    occurred_at: datetime
    message_id: str
    call: Call
    clamped: bool = False
    historical: bool = False
    shared: Any = None


decode = msgspec.json.Decoder(Accepted).decode
