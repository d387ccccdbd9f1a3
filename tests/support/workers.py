"""How a run by several workers (`pytest -n 3`) is shared out; each worker has a Kafka and a PostgreSQL of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ALONE = ("chaos",)
"""Folders of long tests that have nothing in common: each goes where there is room."""
TOGETHER = ("browser", "conformance")
"""Folders whose files have in common what takes long to start."""


def share(nodeid: str) -> str:
    """What a test belongs to; one worker runs all of it. Mostly its file, because of the fixtures of modules."""
    file = nodeid.partition("::")[0]
    folder = PurePosixPath(file).parent
    if folder.name in ALONE:
        return nodeid
    return str(folder) if folder.name in TOGETHER else file


class Shares(LoadScopeScheduling):  # type: ignore[misc] # a class without types
    """Deals out shares, in the order in which they were collected."""

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take a test for the same when only an example in its name differs, which may be made of the time or of chance.

        A worker runs tests by their places, and all of a share, so that none is left out or run twice by this.
        """
        first = next(iter(self.registered_collections.values()), collection)
        same = list(map(_without_example, first)) == list(map(_without_example, collection))
        super().add_node_collection(node, first if same else collection)

    def _split_scope(self, nodeid: str) -> str:
        return share(nodeid)


def _without_example(nodeid: str) -> str:
    return nodeid if share(nodeid) == nodeid else nodeid.partition("[")[0]
