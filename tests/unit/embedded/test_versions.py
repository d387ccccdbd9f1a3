"""Data of another version is refused with a clear word, before anything touches it."""

import tempfile
from pathlib import Path

import pytest

from pathline.embedded import kafka, postgres
from pathline.embedded.trouble import Code, TroubleError, from_os_error


@pytest.mark.parametrize(
    ("recorded", "refused"),
    [(None, False), ("4.4.0", False), ("4.4.9", False), ("4.1.0", False), ("4.5.0", True), ("3.9.1", True),
     ("5.0.0", True), ("4.10.0", True), ("what", True)],
)  # fmt: skip
def test_kafka(tmp_path: Path, *, recorded: str | None, refused: bool) -> None:
    if recorded is not None:
        (tmp_path / "VERSION").write_text(recorded + "\n", encoding="utf-8")
    if not refused:
        kafka.check_version(tmp_path, "4.4.0")
        return
    with pytest.raises(TroubleError, match=f"written by Kafka {recorded}") as raised:
        kafka.check_version(tmp_path, "4.4.0")
    assert raised.value.code == Code.OTHER_VERSION


@pytest.mark.parametrize(("recorded", "refused"), [(None, False), ("18", False), ("17", True), ("19", True)])
def test_postgres(tmp_path: Path, *, recorded: str | None, refused: bool) -> None:
    if recorded is not None:
        (tmp_path / "PG_VERSION").write_text(recorded + "\n", encoding="utf-8")
    if not refused:
        postgres.check_version(tmp_path)
        return
    with pytest.raises(TroubleError, match=f"written by PostgreSQL {recorded}.*pg_upgrade") as raised:
        postgres.check_version(tmp_path)
    assert raised.value.code == Code.OTHER_VERSION


def test_a_socket_lies_in_the_home_unless_its_path_would_be_too_long(tmp_path: Path) -> None:
    short = Path("/p")
    assert postgres.socket_directory(short) == short / "run" / "pg"
    long = tmp_path / ("x" * 80)
    outside = postgres.socket_directory(long)
    assert len(str(outside / postgres.SOCKET_FILE)) <= postgres.SOCKET_PATH_BYTES_MAX
    assert outside == postgres.socket_directory(long)
    assert outside != postgres.socket_directory(tmp_path / ("y" * 80))


def test_a_file_where_the_socket_must_lie_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    long = tmp_path / ("x" * 100)
    postgres.socket_directory(long).symlink_to("/etc")
    with pytest.raises(TroubleError, match="belongs to somebody else") as raised:
        postgres.socket_directory(long)
    assert raised.value.code == Code.NOT_ALLOWED


def test_a_socket_path_with_spaces_is_a_good_url(tmp_path: Path) -> None:
    assert " " not in postgres.EmbeddedPostgres(Path("/a home")).dsn()


@pytest.mark.parametrize(("number", "code"), [(28, Code.NO_SPACE), (1, Code.HOME_NOT_WRITABLE), (5, Code.PART_FAILED)])
def test_what_the_system_says_has_a_code(number: int, code: Code) -> None:
    assert from_os_error(OSError(number, "words", "/file"), "write").code == code


def test_codes_are_words_and_statuses() -> None:
    assert Code.PORT_IN_USE.word == "port_in_use"
    assert len({code.value for code in Code}) == len(Code)
    assert all(2 <= code.value <= 130 for code in Code)
