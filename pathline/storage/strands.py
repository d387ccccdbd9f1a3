"""Reading strands: what is known of a person under one identifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from pathline.domain.facts import State
from pathline.storage import codec

if TYPE_CHECKING:
    from pathline.storage.connection import Db


async def load(db: Db, ids: Iterable[UUID]) -> dict[UUID, State]:
    """The states of these strands; one that nobody acted under is not in the answer."""
    rows = await db.fetch("SELECT id, state FROM strand WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: codec.state(row["state"]) for row in rows}
