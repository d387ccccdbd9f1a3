"""The jars: those of the lock, whole, of one version; a damaged one is fetched again, a wrong one refused."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import jgo.maven
import pytest
import requests

from pathline.embedded import jars
from pathline.embedded.trouble import Code, TroubleError

CONTENT = {"a": b"jar a", "b": b"jar b", "c": b"jar c"}


def lock_text(**contents: bytes) -> str:
    return "".join(
        f"{hashlib.sha256(content).hexdigest()}  org.apache.kafka:{name}:4.4.0\n" for name, content in contents.items()
    )


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> Callable[[dict[str, bytes | Exception]], None]:
    """Serve these contents, or raise, instead of Maven's repository; the lock is of CONTENT."""
    lock = tmp_path / "jars.lock"
    lock.write_text(lock_text(**CONTENT), encoding="utf-8")
    monkeypatch.setattr(jars, "LOCK", lock)

    def serve(contents: dict[str, bytes | Exception]) -> None:
        class Artifact:
            def __init__(self, work: Path, name: str) -> None:
                self.work, self.name = work, name

            def at_version(self, _version: str) -> "Artifact":
                return self

            def artifact(self) -> "Artifact":
                return self

            def resolve(self) -> Path:
                asked.append(self.name)
                content = contents[self.name]
                if isinstance(content, Exception):
                    raise content
                path = self.work / self.name
                path.write_bytes(content)
                return path

        class Context:
            def __init__(self, repo_cache: Path, timeout: int) -> None:
                assert timeout > 0
                self.work = repo_cache

            def project(self, _group: str, name: str) -> Artifact:
                return Artifact(self.work, name)

        monkeypatch.setattr(jgo.maven, "MavenContext", Context)

    return serve


def ignore(_done: int, _files: int, _bytes_done: int) -> None:
    """No progress."""


def test_the_committed_lock_agrees_with_itself() -> None:
    found = jars.read_lock(jars.LOCK.read_text(encoding="utf-8"))
    assert jars.kafka_version(found) == "4.4.0"
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {jar.artifact for jar in found}
    assert all(len(jar.sha256) == 64 for jar in found)
    assert "http" not in jars.LOCK.read_text(encoding="utf-8")


def test_mixed_versions_of_kafka_are_refused() -> None:
    text = "0  org.apache.kafka:kafka_2.13:4.4.0\n1  org.apache.kafka:kafka-clients:3.9.1\n"
    with pytest.raises(ValueError, match=r"\['3.9.1', '4.4.0'\]"):
        jars.read_lock(text)
    with pytest.raises(ValueError, match="one file name"):
        jars.read_lock("0  a:x:1\n1  b:x:1\n")


def test_the_second_time_nothing_is_asked(
    tmp_path: Path, repository: Callable[[dict[str, bytes]], None], asked: list[str]
) -> None:
    repository(CONTENT)
    steps: list[tuple[int, int, int]] = []
    first = jars.fetch(tmp_path / "a cache", lambda *step: steps.append(step))
    assert sorted(asked) == ["a", "b", "c"]
    assert steps[0] == (0, 3, 0) and steps[-1] == (3, 3, 15)
    assert jars.fetch(tmp_path / "a cache", ignore) == first
    assert len(asked) == 3
    assert {path.name for path in (tmp_path / "a cache" / "jars").iterdir()} == {
        "lock", *(f"{name}-4.4.0.jar" for name in CONTENT)
    }  # fmt: skip


def test_a_damaged_jar_is_noticed_and_fetched_again(
    tmp_path: Path, repository: Callable[[dict[str, bytes]], None], asked: list[str]
) -> None:
    repository(CONTENT)
    damaged = jars.fetch(tmp_path, ignore)[1]
    damaged.write_bytes(b"jar B")
    asked.clear()
    jars.fetch(tmp_path, ignore)
    assert asked == ["b"]
    assert damaged.read_bytes() == b"jar b"


def test_a_download_with_another_hash_is_not_kept(
    tmp_path: Path, repository: Callable[[dict[str, bytes]], None]
) -> None:
    repository({**CONTENT, "c": b"<html>sign in to the hotel</html>"})
    with pytest.raises(TroubleError, match=r"c-4\.4\.0\.jar as downloaded is not the file of the lock") as raised:
        jars.fetch(tmp_path, ignore)
    assert raised.value.code == Code.BAD_DOWNLOAD
    assert not (tmp_path / "jars" / "c-4.4.0.jar").exists()


def test_without_a_network_it_is_said_what_to_do(
    tmp_path: Path, repository: Callable[[dict[str, bytes | Exception]], None], asked: list[str]
) -> None:
    repository(dict.fromkeys(CONTENT, requests.ConnectionError("no route to host")))
    with pytest.raises(TroubleError, match=r"no route to host.*needs the network once.*PATHLINE_KAFKA") as raised:
        jars.fetch(tmp_path, ignore)
    assert raised.value.code == Code.NO_NETWORK
    assert max(asked.count(name) for name in CONTENT) == jars.TRIES


def test_a_stop_ends_the_tries_of_a_network_that_hangs(tmp_path: Path) -> None:
    ending = threading.Event()
    ending.set()

    class Context:
        def project(self, _group: str, _name: str) -> "Context":
            return self

        at_version = artifact = lambda self, *_: self

        def resolve(self) -> Path:
            pytest.fail("asked again")

    jar = jars.Jar("0", "g", "a", "1")
    with pytest.raises(TroubleError):
        jars._download_one(Context(), jar, ending)  # type: ignore[arg-type]


def test_what_a_killed_download_left_is_removed(tmp_path: Path, repository: Callable[[dict[str, bytes]], None]) -> None:
    repository(CONTENT)
    left = tmp_path / "jars" / "download-killed"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    (tmp_path / "jars" / "a.1.part").write_bytes(b"x")
    jars.fetch(tmp_path, ignore)
    assert not left.exists() and not (tmp_path / "jars" / "a.1.part").exists()
