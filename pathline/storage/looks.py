"""Asking for a look at whether a customer's alerts add up; `pathline.storage.risks` takes the looks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pathline.storage.connection import Db


async def ask(db: Db, entity_ids: Collection[UUID]) -> None:
    """Have the customers of these things and strands looked at."""
    if entity_ids:
        await db.execute("INSERT INTO risk_look (entity_id) SELECT unnest($1::uuid[])", list(set(entity_ids)))
