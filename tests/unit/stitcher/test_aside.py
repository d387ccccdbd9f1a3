"""Who keeps sending what PostgreSQL refuses is paused for a while, alone; a few refusals pause nobody."""

from __future__ import annotations

import pytest

from services.stitcher import aside
from services.stitcher.aside import PAUSE_SECONDS, WINDOW_SECONDS, Aside
from tests.support.clock import Clock

MOST = 3


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def senders(clock: Clock) -> Aside:
    return Aside(MOST, clock)


def test_the_refusal_that_is_too_many_pauses_its_sender_and_no_other(senders: Aside) -> None:
    assert [senders.refused("till") for _ in range(MOST)] == [False] * MOST
    assert not senders.refused("shop")
    assert senders.senders() == frozenset()
    assert senders.refused("till")
    assert senders.senders() == {"till"}


def test_refusals_of_more_than_a_minute_ago_are_forgotten(senders: Aside, clock: Clock) -> None:
    for _ in range(10 * MOST):
        assert not senders.refused("till")
        clock.now += WINDOW_SECONDS / MOST + 0.1
    assert senders.senders() == frozenset()


def test_after_the_pause_it_is_tried_again_from_the_beginning(senders: Aside, clock: Clock) -> None:
    for _ in range(MOST + 1):
        senders.refused("till")
    clock.now += PAUSE_SECONDS - 1
    assert senders.senders() == {"till"}
    clock.now += 1
    assert senders.senders() == frozenset()
    assert [senders.refused("till") for _ in range(MOST + 1)] == [False] * MOST + [True]


def test_none_is_nobody(clock: Clock) -> None:
    senders = Aside(0, clock)
    assert not any(senders.refused("till") for _ in range(1_000))
    assert senders.senders() == frozenset()


def test_no_more_senders_are_remembered_than_the_limit(senders: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "MOST_SENDERS", 2)
    for _ in range(MOST):
        senders.refused("first")
    for other in ("second", "third"):
        senders.refused(other)
    assert not senders.refused("first"), "its count began anew"
