"""What makes a text unfit to be stored."""

from __future__ import annotations

import sys

import msgspec
import pytest

from services.ingest import text
from services.ingest.codes import Refused

FLAWS: tuple[tuple[bytes, Refused | None], ...] = (
    (b'{"a":"b"}', None),
    (b"[" * 32 + b"]" * 32, None),
    (b"[" * 33 + b"]" * 33, text.TOO_DEEP),
    (b'{"a":' * 33 + b"1" + b"}" * 33, text.TOO_DEEP),
    (b'{"a":[' + b"{}," * 100 + b"{}]}", None),
    (b'{"a":"' + b"[" * 100 + b'"}', None),
    (b'{"a":"\\"' + b"[" * 100 + b'"}', None),
    (b'{"a":"\\\\","b":' + b"[" * 100 + b"]" * 100 + b"}", text.TOO_DEEP),
    ('{"a":"é"}'.encode(), None),
    ('{"a":"é"}'.encode("latin-1"), text.NO_UTF8),
    (b'"\xed\xa0\x80"', text.NO_UTF8),
    (b'"\xc0\x80"', text.NO_UTF8),
    (b'{"a":"\\u0000"}', text.BAD_CHARACTER),
    (b'{"\\u0000":1}', text.BAD_CHARACTER),
    (b'{"a":"\\\\u0000"}', None),
    (b'{"a":"\\\\\\u0000"}', text.BAD_CHARACTER),
    (b'{"a":"\\u00001"}', text.BAD_CHARACTER),
    (b'{"a":"\\u0001"}', None),
)


@pytest.mark.parametrize(("raw", "flaw"), FLAWS)
def test_flaws(raw: bytes, flaw: Refused | None) -> None:
    assert text.flaw(raw) == flaw


@pytest.mark.parametrize(("raw", "flaw"), FLAWS)
def test_a_batch_is_as_sound_as_its_worst_call(raw: bytes, flaw: Refused | None) -> None:
    calls = [b"{}", raw, b'{"a":["b"]}']
    # It may send a call without a flaw to be looked at alone, never the other way round.
    assert not (text.are_sound(b'{"batch":[%b]}' % b",".join(calls), calls) and flaw)


def test_calls_with_escapes_accents_and_some_depth_are_sound_together() -> None:
    calls = ['{"a":"é \\u00e9 \\"","b":[[{}]]}'.encode()] * 100
    assert text.are_sound(b'{"batch":[%b]}' % b",".join(calls), calls)


@pytest.mark.parametrize(
    ("raw", "half"),
    [
        (rb'"\ud83d\ude00"', False), (rb'"\uD83D\uDE00"', False), (rb'"\ud83d"', True), (rb'"\ude00"', True),
        (rb'"\ude00\ud83d"', True), (rb'"\ud83d\ud83d\ude00"', True), (rb'"\\ud83d"', False), (rb'"\\\ud83d"', True),
        (rb'"\u0041"', False),
    ],
)  # fmt: skip
def test_half_characters(raw: bytes, *, half: bool) -> None:
    assert text.has_half_character(raw) is half
    assert (b"\\u0000" in text.marked(raw)) is half


@pytest.mark.parametrize("raw", [b'"\0\0"', b'"\0\0\\ud83d"', b'"\\\\\0\\ud83d"'])
def test_what_is_no_json_stays_none_when_its_halves_are_marked(raw: bytes) -> None:
    marked = text.marked(raw)
    assert not text.has_half_character(marked)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(marked)


@pytest.mark.parametrize("escape", [rb"\\", rb"\n", rb"\ud83d\ude00"])
def test_millions_of_escapes_are_looked_through_at_once(escape: bytes) -> None:
    """They take some kilobytes when zipped. Looked at one by one they held up everyone for more than a second."""
    whole = escape * 500_000 + rb"\ud83d"
    looks = 0

    def look(*_: object) -> None:
        nonlocal looks
        looks += 1

    sys.setprofile(look)
    try:
        assert text.has_half_character(whole) and text.marked(whole).endswith(rb"\u0000")
    finally:
        sys.setprofile(None)
    assert looks < 100
