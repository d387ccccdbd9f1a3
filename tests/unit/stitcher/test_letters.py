"""The log has where a dead letter lies and whose trace it belongs to, never its body, and never too many lines."""

from __future__ import annotations

from structlog.testing import capture_logs

from pathline.storage.letters import DeadLetter
from services.stitcher import letters

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def letter(offset: int, value: bytes | None, headers: str = "[]") -> DeadLetter:
    return DeadLetter(3, offset, "no_subject", "secret words", b"secret key", value, headers)


def test_a_dead_letter_is_told_by_its_place_and_names_and_not_by_what_it_holds() -> None:
    value = b'{"version":1,"message_id":"m-7","call":{"userId":"secret"}}'
    with capture_logs() as said:
        letters.tell([letter(7, value, f'[["other","x"],["traceparent","{TRACE}"]]')])
    (one,) = said
    assert one == {
        "event": "dead letter", "log_level": "warning", "code": "no_subject", "partition": 3, "offset": 7,
        "message_id": "m-7", "traceparent": TRACE,
    }  # fmt: skip


def test_what_cannot_be_read_has_no_id_and_a_long_one_is_cut() -> None:
    values = [None, b"", b"not json", b'{"message_id":7}', b'{"message_id":"\xff"}', b"[" * 10_000]
    with capture_logs() as said:
        letters.tell([letter(offset, value) for offset, value in enumerate(values)])
        letters.tell([letter(9, b'{"message_id":"' + b"x" * 5_000 + b'"}')])
    assert [one["message_id"] for one in said] == [*(None for _ in values), "x" * letters.TEXT_LENGTH]


def test_of_many_some_are_told_and_the_others_counted() -> None:
    with capture_logs() as said:
        letters.tell([letter(offset, b"") for offset in range(letters.LOGGED_MOST + 980)])
    assert len(said) == letters.LOGGED_MOST + 1
    assert said[-1]["count"] == 980
