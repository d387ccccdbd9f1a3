from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from pathline.sending import lines
from pathline.sending.lines import BadLine, Line


def read(data: bytes) -> list[Line | BadLine]:
    return list(lines.read(io.BytesIO(data)))


def test_calls_pass_as_they_are_and_empty_lines_are_passed_over() -> None:
    data = b'\xef\xbb\xbf{"messageId":"a","type":"page"}\n\n  \r\n{"messageId":7,"x":1e400}\r\n{"messageId":"c"}'
    assert read(data) == [
        Line(1, 35, b'{"messageId":"a","type":"page"}'),
        Line(4, 67, b'{"messageId":7,"x":1e400}'),
        Line(5, len(data), b'{"messageId":"c"}'),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", "not_json"),
        (b"hello", "not_json"),
        (b'{"a":"\xff"}', "not_json"),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "not_json"),
    ],
)
def test_a_bad_line_is_told_and_the_next_one_read(text: bytes, code: str) -> None:
    bad, good = read(text + b'\n{"messageId":"a"}\n')
    assert isinstance(bad, BadLine) and (bad.number, bad.code) == (1, code)
    assert isinstance(good, Line) and good.number == 2


def test_a_call_without_an_id_gets_the_same_one_every_time() -> None:
    data = b'{"event":"A"}\n{"event":"A","messageId":null}\n{"event":"A","messageId":""}\n'
    once, again = read(data), read(data)
    assert once == again
    ids = {json.loads(line.call)["messageId"] for line in once if isinstance(line, Line)}
    assert len(ids) == 3, "equal calls at other places are other calls"
    assert not any(line.named for line in once if isinstance(line, Line))


@pytest.mark.parametrize("named", ['{"a":1}', "[]", "true", "1.5", "7", '"x"'])
def test_an_id_of_any_kind_is_passed_on_as_it_is_for_the_collector_to_judge(named: str) -> None:
    call = b'{"messageId": %b, "event":"A"}' % named.encode()
    (line,) = read(call + b"\n")
    assert isinstance(line, Line) and line.named
    assert line.call == call


def test_a_long_line_is_not_kept() -> None:
    long = b'{"a":"' + b"x" * (3 * lines.LINE_BYTES_MAX) + b'"}\n'
    bad, good = read(long + b'{"messageId":"a"}')
    assert isinstance(bad, BadLine) and bad.code == "line_too_long" and bad.end == len(long)
    assert isinstance(good, Line) and good.number == 2


def test_reading_goes_on_in_the_middle() -> None:
    data = b'{"event":"A"}\n{"event":"B"}\n'
    whole = read(data)
    stream = io.BytesIO(data)
    stream.seek(whole[0].end)
    assert list(lines.read(stream, number=1, offset=whole[0].end)) == whole[1:]


def test_a_file_is_recognised_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    for path, text in ((one, b"{}\n"), (two, b"{}\n"), (other, b"{}\n{}\n")):
        path.write_bytes(text)
    assert lines.identify(str(one)) == lines.identify(str(two)) != lines.identify(str(other))
    zipped = tmp_path / "zipped"
    zipped.write_bytes(gzip.compress(b'{"messageId":"a"}\n'))
    for path in (one, zipped):
        with lines.opened(str(path)) as stream:
            assert len(list(lines.read(stream))) == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n")))
    assert lines.identify("-") is None
    with lines.opened("-") as stream:
        assert len(list(lines.read(stream))) == 1
