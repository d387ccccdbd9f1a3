"""`pathline dead-letters` where it needs no server: what cannot be asked for, and what may be printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pathline import cli
from pathline.commands.plain import plain, plain_bytes

CODE = re.compile(r'(?:Refused\(|_fail\(.*, |"not_found", )"([a-z_]+)"')
PROGRAM = cli.make_app(["dead_letters"])


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["replay"], 2, "give ids"),
        (["replay", "1", "--all"], 2, "give ids"),
        (["replay", "1", "--code", "x"], 2, "give ids"),
        (["replay", "--all", "--with", "-"], 2, "a file mends one letter"),
        (["replay", "1", "2", "--with", "-"], 2, "a file mends one letter"),
        (["replay", "0"], 2, "Invalid"),
        (["replay", "1", "--with", "/nowhere/call.json"], 1, "[no_file]"),
        (["list", "--limit", "0"], 2, "--limit"),
        (["show", str(2**63)], 2, "Invalid"),
        (["show", "x"], 2, "Invalid"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], status: int, said: str) -> None:
    ended = CliRunner().invoke(PROGRAM, ["dead-letters", *arguments], input=b"")
    assert ended.exit_code == status and said in ended.stderr, ended.stderr


def test_every_code_is_told() -> None:
    root = Path(__file__).parents[3]
    told = (root / "docs" / "errors.md").read_text("utf-8")
    files = [root / "pathline" / "commands" / name for name in ("dead_letters.py", "replaying.py")]
    said = {code for file in files for code in CODE.findall(file.read_text("utf-8"))}
    assert said >= {"not_found", "no_file", "too_large", "truncated", "unknown_key"}
    assert [code for code in sorted(said) if f"`{code}`" not in told] == []


def test_a_file_that_no_record_can_hold_is_refused() -> None:
    ended = CliRunner().invoke(PROGRAM, ["dead-letters", "replay", "1", "--with", "-"], input=b"x" * 1_000_001)
    assert ended.exit_code == 1 and "[too_large]" in ended.stderr


def test_what_a_terminal_would_obey_or_an_eye_not_see_is_written_out() -> None:
    assert plain("a\x1b[2J\r\n\t\x07\u202egpj\u200b\\") == "a\\x1b[2J\\r\\n\\t\\x07\\u202egpj\\u200b\\\\"
    assert plain("Grüße, 世界 👋") == "Grüße, 世界 👋"
    assert plain_bytes(b"\xff\x9b1mok\xc3\xa4") == "\\xff\\x9b1mokä"
    assert plain_bytes(b"a\nb\x1b", lines=True) == "a\nb\\x1b"


@given(st.binary(max_size=50), st.booleans())
def test_whatever_was_sent_prints(value: bytes, lines: bool) -> None:  # noqa: FBT001 - drawn
    shown = plain_bytes(value, lines=lines)
    assert all(one.isprintable() or (lines and one == "\n") for one in shown)
    assert shown.encode() is not None
