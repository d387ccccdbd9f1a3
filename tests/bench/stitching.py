"""What the stitcher does with a batch, in this process: from the bytes of its records to the commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import psutil

from pathline.kit.origin import Origin
from pathline.storage import fences
from pathline.storage.fences import Advance
from services.stitcher.app import read_stages
from services.stitcher.batch import collect
from services.stitcher.transaction import stitch

if TYPE_CHECKING:
    import asyncpg

    from pathline.contracts.hint import Hint
    from pathline.domain.bonds import Pointer

TOPIC: Final = "bench"


class Cost(msgspec.Struct, frozen=True):
    """Of one batch, a touchpoint, in microseconds."""

    elapsed: float
    busy: float
    """Processor time of this process and of the server's for it."""


class Stitching:
    """One partition, held by this process."""

    def __init__(self, db: asyncpg.Connection, backend: int) -> None:
        """Use `make`."""
        self._db = db
        self._backend = psutil.Process(backend)
        self._stages = read_stages(None)
        self._known: dict[UUID, Pointer | None] = {}
        self.hints: Sequence[Hint] = ()
        """Those of the last batch."""
        self._epoch = self._offset = 0

    @classmethod
    async def make(cls, db: asyncpg.Connection) -> Stitching:
        """Take the partition of this database, and go on where whoever had it before left off."""
        self = cls(db, await db.fetchval("SELECT pg_backend_pid()"))
        held = await fences.take(db, TOPIC, 0, Origin("bench", None))
        self._epoch, self._offset = held.epoch, held.next_offset
        return self

    async def batch(self, values: Sequence[bytes]) -> Cost:
        """Stitch these, which are all new."""
        records: list[Any] = [
            SimpleNamespace(partition=0, offset=self._offset + number, key=None, value=value, headers=())
            for number, value in enumerate(values)
        ]
        busy, started = self._busy(), time.perf_counter()
        batch = collect({0: records}, self._stages)
        move = Advance(0, self._epoch, self._offset, self._offset + len(values))
        async with self._db.transaction():
            done = await stitch(self._db, TOPIC, batch, [move], self._stages, self._known)
        elapsed = time.perf_counter() - started
        busy = self._busy() - busy
        if len(done.hints) != len(values):
            message = f"{len(values) - len(done.hints)} touchpoints of a bench were no new ones"
            raise RuntimeError(message)
        self._offset += len(values)
        self.hints = done.hints
        return Cost(elapsed / len(values) * 1e6, busy / len(values) * 1e6)

    def _busy(self) -> float:
        times = self._backend.cpu_times()
        return time.process_time() + float(times.user + times.system)
