"""NDJSON files of Segment calls, read line by line in bounded memory: plain, gzipped or from standard input."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final

import msgspec

LINE_BYTES_MAX: Final = 1_048_576
"""A longer line is refused without being kept. Collectors take far less."""

HEAD_BYTES: Final = 65_536
"""By this much of its beginning a file is recognised, with its size."""

STDIN: Final = "-"
GZIP_MAGIC: Final = b"\x1f\x8b"
MESSAGE_ID: Final = "messageId"
_ABSENT: Final = b"null"


class Line(msgspec.Struct, frozen=True):
    """A line that holds a call. `end` is the offset of the next line, in bytes of what the file holds unzipped."""

    number: int
    end: int
    call: bytes
    named: bool = True
    """False where the sender gave no message id, and the call carries one of ours."""


class BadLine(msgspec.Struct, frozen=True):
    """A line that holds none, and why."""

    number: int
    end: int
    code: str
    message: str


class Identity(msgspec.Struct, frozen=True):
    """What a file is recognised by, wherever it lies: its size in bytes and its beginning. Standard input has none."""

    size: int
    head: str

    @property
    def key(self) -> str:
        """Both in one word."""
        return f"{self.head}-{self.size}"


_NO_ID: Final = (_ABSENT, b'""')
"""Message ids that are none. Any other value is passed on as it is: what is wrong with it the collector says."""


class _Named(msgspec.Struct, rename="camel", gc=False):
    """Of a call what is looked at in each; the rest is only passed over."""

    message_id: msgspec.Raw = msgspec.Raw(_ABSENT)


_named: Final = msgspec.json.Decoder(_Named)
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def identify(path: str) -> Identity | None:
    """What the file is recognised by; None for standard input. Raises OSError."""
    if path == STDIN:
        return None
    with Path(path).open("rb") as file:
        head = blake2b(file.read(HEAD_BYTES), digest_size=16).hexdigest()
        return Identity(file.seek(0, 2), head)


@contextmanager
def opened(path: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The bytes of a file, unzipped where it is zipped. Raises OSError."""
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with Path(path).open("rb") as raw:
        zipped = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not zipped:
            yield raw
            return
        with gzip.open(raw) as unzipped:
            yield unzipped


def read(stream: IO[bytes] | gzip.GzipFile, *, number: int = 0, offset: int = 0) -> Iterator[Line | BadLine]:
    """The lines of a stream from where it stands; empty ones are passed over.

    A call without a message id gets one made of its text and its place, so that a second try sends the same.

    Args:
        stream: stands at the beginning of a line.
        number: of the line before.
        offset: where it stands, in bytes.
    """
    end = offset
    while raw := stream.readline(LINE_BYTES_MAX + 1):
        start, number = end, number + 1
        end += len(raw)
        if len(raw) > LINE_BYTES_MAX and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(LINE_BYTES_MAX)
                end += len(raw)
            yield BadLine(number, end, "line_too_long", f"longer than {LINE_BYTES_MAX} bytes")
            continue
        text = raw.strip() if start else raw.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield _line(number, start, end, text)


def _line(number: int, start: int, end: int, text: bytes) -> Line | BadLine:
    try:
        text.decode()  # the decoder below does not look into strings
        unnamed = bytes(_named.decode(text).message_id) in _NO_ID
    except msgspec.ValidationError as error:
        return BadLine(number, end, "not_an_object", str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadLine(number, end, "not_json", str(error))
    if unnamed:
        digest = blake2b(b"%d:%b" % (start, text), digest_size=12).hexdigest()
        fields = _object.decode(text)
        fields[MESSAGE_ID] = msgspec.Raw(b'"import-%b"' % digest.encode())
        text = msgspec.json.encode(fields)
        return Line(number, end, text, named=False)
    return Line(number, end, text)
