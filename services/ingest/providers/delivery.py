"""What a webhook delivers, and what a provider makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from services.ingest.codes import Refused

HeaderMap = dict[bytes, bytes]


class Delivery(NamedTuple):
    """One delivery. Names of headers are in lower case; `raw` is the body as it was signed."""

    raw: bytes
    headers: HeaderMap
    query: bytes = b""


class Translation(NamedTuple):
    """The calls that a delivery becomes."""

    calls: Sequence[bytes]
    """Each a JSON object of a Segment call with its `type`, and a `messageId` that is the same however often the
    provider delivers it."""
    known: bool = True
    """False: of a topic or with a status that the mapping does not know; kept as it is and counted."""
    privacy: bool = False
    """True: somebody asks for their data, or for its erasure."""


Verify = Callable[[Delivery, Sequence[str], datetime, float], Refused | None]
"""Takes the secrets that may have signed it, one or two, newest first; the time; and by how many seconds a signed time
may differ from it."""


class Provider(NamedTuple):
    """How one provider's deliveries are checked and understood."""

    name: str
    verify: Verify
    translate: Callable[[Delivery], Translation | Refused]
    secret_flaw: Callable[[str], str | None] = lambda _secret: None
    """Why a text can be no secret of this provider's."""
