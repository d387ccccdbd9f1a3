"""A Kafka whose log lies on two disks, of which one can be pulled: its partitions lose their leader, the others go on."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pathline.embedded import home as homes
from pathline.embedded.kafka import EmbeddedKafka
from tests.conftest import Stack

SECOND: Final = "second"
CHECK_MS: Final = 200
"""How often the broker writes to each disk whatever happens; so it notices soon."""


class TwoDisks(EmbeddedKafka):
    """The embedded Kafka with a second folder for its log. The cluster's own log is in the first."""

    def _properties(self, log: str) -> str:
        only = f"log.dirs={log}\n"
        both = f"log.dirs={log},{SECOND}\nreplica.high.watermark.checkpoint.interval.ms={CHECK_MS}\n"
        written = super()._properties(log)
        assert only in written
        return written.replace(only, both)

    def partitions(self, topic: str) -> set[int]:
        """The partitions of a topic on the second disk."""
        return {int(folder.name.rpartition("-")[2]) for folder in (self._data / SECOND).glob(f"{topic}-*")}

    def pull(self) -> None:
        """Take the second disk away."""
        (self._data / SECOND).rename(self._data / "pulled")

    def put_back(self) -> None:
        """Put it back; the broker takes it once it is started anew."""
        (self._data / "pulled").rename(self._data / SECOND)


@asynccontextmanager
async def two_disks(beside: Stack) -> AsyncIterator[tuple[Stack, TwoDisks]]:
    """Such a Kafka beside the run's own, with the run's PostgreSQL."""
    home = Path(tempfile.mkdtemp(prefix="two disks ", dir=beside.home.parent))
    homes.prepare(home)
    broker = TwoDisks(home, port=0, cache=homes.cache_directory(), progress=lambda *_: None)
    stack = Stack(home, broker, beside.postgres)
    try:
        await stack.start("kafka")
        yield stack, broker
    finally:
        await stack.kill("kafka")
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
