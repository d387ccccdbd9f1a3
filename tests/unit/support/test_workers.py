"""What is dealt to several workers is run once, all of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.support.workers import Shares, share

COLLECTED = [
    *(f"tests/unit/kit/test_door.py::test_{name}" for name in "abcd"),
    "tests/unit/kit/test_signin.py::test_a_link[1795558032.forged]",
    "tests/unit/kit/test_signin.py::test_a_link[1.x]",
    "tests/chaos/test_drain.py::test_ends[frozen]",
    "tests/chaos/test_drain.py::test_ends[killed]",
    "tests/browser/test_console.py::test_a",
    "tests/browser/test_shop.py::test_a",
]


class Worker:
    """One that notes what it is told to run."""

    shutting_down = False

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.told: list[int] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.told += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def dealt(*collections: Sequence[str]) -> tuple[Shares, list[Worker]]:
    """All of it dealt out and done, a test of each worker in turn."""
    option = SimpleNamespace(loadscopereorder=False)
    hook = SimpleNamespace(pytest_collectreport=lambda **_: None)
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen"] * len(collections), option=option, hook=hook)
    shares, workers = Shares(config, Producer("test", enabled=False)), [Worker(n) for n in range(len(collections))]
    for worker, collected in zip(workers, collections, strict=True):
        shares.add_node(worker)
        shares.add_node_collection(worker, collected)
    shares.schedule()
    done = [0] * len(workers)
    while any(done[n] < len(worker.told) for n, worker in enumerate(workers)):
        for n, worker in enumerate(workers):
            if done[n] < len(worker.told):
                shares.mark_test_complete(worker, worker.told[done[n]])
                done[n] += 1
    return shares, workers


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_test_is_run_once_and_a_share_by_one_worker(number: int) -> None:
    shares, workers = dealt(*[COLLECTED] * number)
    assert shares.tests_finished
    assert sorted(index for worker in workers for index in worker.told) == list(range(len(COLLECTED)))
    owners: dict[str, set[int]] = {}
    for n, worker in enumerate(workers):
        for index in worker.told:
            owners.setdefault(share(COLLECTED[index]), set()).add(n)
    assert {len(of) for of in owners.values()} == {1}
    assert len(owners) == 5


def test_an_example_made_of_the_time_is_the_same_test() -> None:
    later = [name.replace("1795558032", "1795558034") for name in COLLECTED]
    assert later != COLLECTED
    _, workers = dealt(COLLECTED, later)
    assert sorted(workers[0].told + workers[1].told) == list(range(len(COLLECTED)))


@pytest.mark.parametrize(
    "other",
    [COLLECTED[1:], COLLECTED[::-1], [name.replace("[killed]", "[stopped]") for name in COLLECTED]],
)
def test_other_tests_are_not_the_same(other: list[str]) -> None:
    _, workers = dealt(COLLECTED, other)
    assert workers[0].told == workers[1].told == []
