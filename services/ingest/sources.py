"""The sources of webhooks in memory, and the pass under which each one's calls are taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pathline.storage.keys import WriteKey
from pathline.storage.sources import WebhookSource
from services.ingest.codes import Refused
from services.ingest.passes import Pass

PREFIX: Final = "webhook:"
"""Before the name of a source where it stands as the source of a touchpoint. No write key's name has a colon, so the
messages of the two are never taken for copies of each other."""

UNKNOWN: Final = Refused("unknown_source", "there is no source of webhooks of this name")
UNAVAILABLE: Final = Refused("keys_unavailable", "the sources of webhooks cannot be read now; try again")


class Source(NamedTuple):
    """A source in use."""

    row: WebhookSource
    key: Pass


class Sources:
    """The sources that may be used. The keyring reads them again with its keys."""

    def __init__(self, room: int) -> None:
        """Empty, until they were read once; each may have `room` bytes under way."""
        self._room = room
        self._by_name: dict[str, Source] = {}

    def replace(self, active: Iterable[WebhookSource]) -> None:
        """Use these from now on. What one has under way is not forgotten."""
        known, self._by_name = self._by_name, {}
        for row in active:
            key = WriteKey(
                name=PREFIX + row.name,
                key="",
                kind="server",
                namespace=row.namespace,
                loopback_only=False,
                created_at=row.created_at,
                revoked_at=None,
            )
            held = known[row.name].key if row.name in known else Pass(key, self._room)
            held.update(key)
            self._by_name[row.name] = Source(row, held)

    def named(self, name: str, *, fresh: bool) -> Source | Refused:
        """The source of this name; `fresh`: whether one that is not here is known to be none."""
        return self._by_name.get(name) or (UNKNOWN if fresh else UNAVAILABLE)
