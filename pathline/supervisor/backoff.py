"""How long to wait before a dead part is started again."""

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
"""With the time it takes to notice and to start, a part is back within 10 s of its end, for ever."""


class Backoff:
    """Doubles from `FIRST_SECONDS` to `LONGEST_SECONDS`; `reset` once the part was ready."""

    def __init__(self) -> None:
        """Begin with the shortest wait."""
        self._next = FIRST_SECONDS

    def next(self) -> float:
        """Seconds to wait now; the next wait is twice as long."""
        wait = self._next
        self._next = min(2 * wait, LONGEST_SECONDS)
        return wait

    def reset(self) -> None:
        """The part was ready: its next end is a new story."""
        self._next = FIRST_SECONDS
