"""`pathline up` where something stands in its way, or somebody else's servers are used."""

import os
import pwd
import sys
from pathlib import Path

import httpx
import pytest

from pathline.embedded.processes import Launch
from pathline.supervisor.parts import SERVICES
from tests.conftest import Stack
from tests.support.running import PROGRAM, Up, assert_nothing_left, relatives, run, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def as_nobody(home: Path) -> list[str]:
    """The program as an ordinary user: as ourselves, unless that is root, who becomes one."""
    if os.geteuid() != 0:
        return PROGRAM
    nobody = pwd.getpwnam("nobody")
    home.mkdir(parents=True)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # With access to what only root may read, because that is where root's Python and this project may lie.
    launch = Launch(
        argv=[sys.executable, *PROGRAM[1:]], cwd=home, user=(nobody.pw_uid, nobody.pw_gid), keep_access=True
    )
    return list(launch.command())


def test_an_ordinary_user_with_servers_that_run_already(
    stack: Stack, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    given = {
        "PATHLINE_KAFKA": stack.bootstrap,
        "PATHLINE_DATABASE_URL": database,
        "PATHLINE_TOPIC_PREFIX": topic_prefix,
        "HOME": str(home),
    }
    with Up(home, command=as_nobody(home), **given) as up:
        up.wait_ready()
        assert f"kafka: using the one at {stack.bootstrap}" in up.output
        assert set(up.pids()) == set(SERVICES)
        assert not list((home / "data").iterdir())
        if os.geteuid() == 0:
            assert (home / "api-token").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert up.post("Product Viewed", userId="eve").status_code == httpx.codes.OK
        until(
            lambda: up.ask("/customers/lookup", kind="user_id", value="eve").status_code == httpx.codes.OK, 20, "none"
        )
        status = up.status()
        assert status["all"]["ready"] and status["kafka"]["pid"] is None, status
        assert up.end() == 0
        assert_nothing_left(home)


def test_an_ordinary_user_has_a_database_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Up(home, command=as_nobody(home), HOME=str(home)) as up:
        up.wait_for("postgres: ready")
        assert up.end() == 0
    assert_nothing_left(home)


@pytest.mark.parametrize(
    ("variable", "value", "code", "status"),
    [
        ("PATHLINE_PARTITIONS", "0", "bad_setting", 2),
        ("PATHLINE_STITCHER_BATCH", "many", "bad_setting", 2),
        ("PATHLINE_HOME", "/sys/pathline", "home_not_writable", 13),
        ("PATHLINE_HOME", "/dev/null/home", "home_not_writable", 13),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    tmp_path: Path, variable: str, value: str, code: str, status: int
) -> None:
    done = run(tmp_path / "home", "up", **{variable: value})
    assert done.returncode == status, done
    assert f"[{code}]" in done.stderr and "Traceback" not in done.stderr
    assert "ready" not in done.stdout


@pytest.mark.parametrize(
    ("file", "version", "words"),
    [("postgres/PG_VERSION", "17", "written by PostgreSQL 17"), ("kafka/VERSION", "3.9.1", "written by Kafka 3.9.1")],
)
def test_data_of_another_version_is_left_as_it_is(tmp_path: Path, file: str, version: str, words: str) -> None:
    home = tmp_path / "home"
    recorded = home / "data" / file
    recorded.parent.mkdir(parents=True)
    recorded.write_text(version + "\n", encoding="utf-8")
    done = run(home, "up")
    assert done.returncode == 14, done
    assert words in done.stderr and "[other_version]" in done.stderr
    assert recorded.read_text(encoding="utf-8") == version + "\n"
    assert [path.name for path in recorded.parent.iterdir()] == [recorded.name]
    assert_nothing_left(home)


def test_a_first_start_without_a_network_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    done = run(home, "up", PATHLINE_CACHE=str(tmp_path / "cache"), **nowhere)
    assert done.returncode == 15, done
    assert "[no_network]" in done.stderr and "PATHLINE_KAFKA" in done.stderr and "Traceback" not in done.stderr
    assert "fetching its files, once: 0 of" in done.stdout
    assert not relatives(home)


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(tmp_path / "home", "migrate", PATHLINE_DATABASE_URL="postgresql://me:s3cret@127.0.0.1:9/x")
    assert done.returncode == 19
    assert "[not_reachable]" in done.stderr and "s3cret" not in done.stderr
