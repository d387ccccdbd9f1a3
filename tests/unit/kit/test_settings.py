"""Settings: read from the environment, bounded, and where the servers are when they are not set."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pathline.kit.settings import (
    DATABASE_URL_RECORD,
    KAFKA_RECORD,
    NoDatabaseError,
    Settings,
    join_address,
    split_address,
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAFKA", "DATABASE_URL", "KAFKA_PORT"):
        monkeypatch.delenv(f"PATHLINE_{name}", raising=False)
    monkeypatch.setenv("PATHLINE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("address", "parts"), [("a:1", ("a", 1)), ("[::1]:80", ("::1", 80)), ("1.2.3.4:0", ("1.2.3.4", 0))]
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts
    assert join_address(*parts) == address


@pytest.mark.parametrize("address", ["", "a", "a:", ":1", "a:b", "a:65536", "a:-1", "a:\N{FULLWIDTH DIGIT ONE}"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(address)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA", "host"), ("KAFKA", "a:1,b"), ("DATABASE_URL", "mysql://x/y"), ("DATABASE_URL", "postgresql://h:99999/x"),
        ("KAFKA_PORT", "70000"), ("COLLECTOR", "8080"), ("ZONE", "Mars/Base"), ("LOG_LEVEL", "loud"),
        ("PARTITIONS", "0"), ("REPLICAS", "10"), ("TOPIC_PREFIX", "a b"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_and_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"PATHLINE_{variable}", value)
    with pytest.raises(ValidationError, match=variable.lower()):
        Settings.load()


def test_a_password_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLINE_DATABASE_URL", "postgresql://me:s3cret@db/x")
    settings = Settings.load()
    assert "s3cret" not in f"{settings!r}{settings.model_dump()}"
    assert settings.dsn() == "postgresql://me:s3cret@db/x"


def test_without_a_database_it_is_said_what_to_do() -> None:
    with pytest.raises(NoDatabaseError, match="set PATHLINE_DATABASE_URL, or start `pathline up`"):
        Settings.load().dsn()


def test_an_up_on_the_same_home_tells_where_its_servers_are(tmp_path: Path) -> None:
    assert Settings.load().bootstrap() == "127.0.0.1:8092"
    (tmp_path / "run").mkdir()
    (tmp_path / DATABASE_URL_RECORD).write_text("postgresql://here\n", encoding="utf-8")
    (tmp_path / KAFKA_RECORD).write_text("127.0.0.1:7\n", encoding="utf-8")
    assert Settings.load().dsn() == "postgresql://here"
    assert Settings.load().bootstrap() == "127.0.0.1:7"


def test_what_is_set_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / KAFKA_RECORD).write_text("127.0.0.1:7\n", encoding="utf-8")
    monkeypatch.setenv("PATHLINE_KAFKA", "a:1, b:2")
    assert Settings.load().bootstrap() == "a:1,b:2"


def test_home_may_be_written_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PATHLINE_HOME", "~/journeys")
    assert Settings.load().home == Path("/home/me/journeys")


def test_they_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().zone = "Europe/Berlin"  # type: ignore[misc]
