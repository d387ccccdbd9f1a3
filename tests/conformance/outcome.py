"""What came of one SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pathline.contracts.accepted import Accepted
from tests.conformance.proxy import Proxy
from tests.conformance.sdks import TEXT, Sdk

_MARK: Final = re.compile(r"(.*) #(\d+);", re.DOTALL)


@dataclass
class Outcome:
    """What passed, and what is there afterwards."""

    sdk: Sdk
    proxy: Proxy
    problem: str | None = None
    """Why it did not send all, in its own words."""
    elsewhere: list[str] = field(default_factory=list)
    """Addresses that its page asked besides the site and the collector."""
    records: list[Accepted] = field(default_factory=list)
    """What is in the log of it."""
    counted: int = 0
    """`touchpoint_count` of the one customer whose calls it sent."""

    def numbers(self) -> dict[str, int]:
        """The number of the call by the id of its message."""
        return {one.message_id: number_of(one) for one in self.records}


def number_of(record: Accepted) -> int:
    """The number of the call in a record, which stands behind the text that was sent, wherever the SDK has put it."""
    call = record.call
    places = (
        call.previous_id,
        json.loads(bytes(call.properties)),
        json.loads(bytes(call.traits)),
        call.context,
        call.name,
    )
    for text in _texts(places):
        found = _MARK.fullmatch(text)
        if found and (found[1] == TEXT or call.type == "alias"):
            return int(found[2])
    message = f"{record.source}: a {call.type} without the text that was sent: {call}"
    raise AssertionError(message)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
