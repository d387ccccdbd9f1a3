"""The waker: judges what a deadline makes due, while everything else may be silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pathline.consuming.patience import pause

if TYPE_CHECKING:
    from services.scorer.settings import ScorerSettings
    from services.scorer.transactions import Transactions


async def keep_deadlines(settings: ScorerSettings, transactions: Transactions, stop: asyncio.Event) -> None:
    """Every `scorer_poll_ms` judge the stories that are due, until none is left; until `stop`."""
    while not stop.is_set():
        taken = await transactions.due(settings.scorer_due_batch)
        if taken < settings.scorer_due_batch:
            await pause(stop, settings.scorer_poll_ms / 1_000)
