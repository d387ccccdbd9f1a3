"""How long a dead part waits: doubling, bounded, and short again once it was ready."""

from pathline.supervisor.backoff import LONGEST_SECONDS, Backoff


def test_waits_double_up_to_the_longest_for_ever() -> None:
    backoff = Backoff()
    assert [backoff.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert LONGEST_SECONDS < 10


def test_a_part_that_was_ready_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5
