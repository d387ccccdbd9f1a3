"""What somebody sent, as it may be printed: a terminal obeys control characters, and an eye believes invisible ones."""

from typing import Final

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def plain(text: str, *, lines: bool = False) -> str:
    """The text with all that is not seen as what it is written out; `lines`: but for the ends of lines."""
    return "".join(
        one if (one.isprintable() and one != "\\") or (lines and one in "\n\\") else _SHORT.get(one) or _escaped(one)
        for one in text
    )


def plain_bytes(value: bytes, *, lines: bool = False) -> str:
    """The same for bytes, which are UTF-8 where they can be."""
    return plain(value.decode("utf-8", "surrogateescape"), lines=lines)


def _escaped(one: str) -> str:
    number = ord(one)
    # A byte that is no UTF-8 was decoded to half a surrogate pair.
    if 0xDC80 <= number <= 0xDCFF:  # noqa: PLR2004
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004
