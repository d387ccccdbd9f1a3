"""`pathline up` as a person runs it: one home, in a long path with spaces, through a whole life."""

import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from pathline.embedded.postgres import SOCKET_PATH_BYTES_MAX
from pathline.supervisor.parts import SERVICES
from pathline.supervisor.up import STOP_ORDER
from tests.support.running import END_SECONDS, READY, START_SECONDS, Up, assert_nothing_left, relatives, run, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
RESTART_SECONDS = 10.0
"""The promise: a part that dies is started again within this."""
NO_NETWORK = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
PERSON = "ada.lovelace@example.org"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Too long for a socket, and with spaces."""
    path = tmp_path_factory.mktemp("up") / ("a long way " * 8) / "home"
    assert len(str(path)) > SOCKET_PATH_BYTES_MAX
    return path


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    """Running and ready."""
    with Up(home) as started:
        started.wait_ready()
        yield started


def test_it_says_what_it_does_and_when_it_is_ready(up: Up, home: Path) -> None:
    lines = up.output.splitlines()
    assert lines[0] == f"Pathline, at home in {home}"
    assert lines.count(READY) == 1 and lines[-1] == READY
    for name in ("kafka", "postgres", *SERVICES):
        assert any(line.startswith(f"{name}: ready on ") for line in lines), up.output
    for word in ("collector", "console", "sign in", "demo-web", "api-token", "curl -u demo:"):
        assert word in up.output
    token = home / "api-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert re.fullmatch(r"\S{32,}\n", token.read_text(encoding="utf-8"))


def test_a_touchpoint_posted_once_it_is_ready_reaches_the_console(up: Up) -> None:
    answer = up.post("Order Completed", userId="ada", properties={"order_id": "A-1", "email": PERSON})
    assert answer.status_code == httpx.codes.OK, answer.text
    found = until(lambda: up.ask("/customers/lookup", kind="user_id", value="ada").json().get("id"), 20, "no customer")
    touchpoints = up.ask(f"/customers/{found}/touchpoints").json()["items"]
    assert [one["event"] for one in touchpoints] == ["Order Completed"]


def test_status_tells_each_part_as_a_child_of_its_own(up: Up, home: Path) -> None:
    done = run(home, "status", "--wait", "30")
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == 1 + 2 + len(SERVICES)
    status = up.status()
    assert status["all"]["ready"] and status["all"]["supervisor"] == up.process.pid
    for name in ("kafka", "postgres", *SERVICES):
        child = psutil.Process(status[name]["pid"])
        assert child.ppid() == up.process.pid
        assert Path(status[name]["log"]).is_file()
        if name in SERVICES:
            assert child.cmdline()[-1] == name and "pathline" in " ".join(child.cmdline()[:-1])


def test_the_commands_find_it_by_its_home(up: Up, home: Path) -> None:
    assert run(home, "topics", "--check").returncode == 0
    link = run(home, "sign-in").stdout.strip()
    assert httpx.get(link, trust_env=False, follow_redirects=True).status_code == httpx.codes.OK
    forged = httpx.get(link[:-2] + "AA", trust_env=False, follow_redirects=True)
    assert forged.status_code >= httpx.codes.BAD_REQUEST


def test_a_second_one_on_the_same_home_says_who_holds_it(up: Up, home: Path) -> None:
    second = run(home, "up")
    assert second.returncode == 10
    assert f"in use by process {up.process.pid} (" in second.stderr and "[home_in_use]" in second.stderr
    assert up.process.poll() is None


def test_a_port_in_use_says_which_and_by_whom_before_anything_starts(up: Up, tmp_path: Path) -> None:
    taken = up.status()["console"]
    second = run(tmp_path / "other", "up", PATHLINE_CONSOLE=taken["address"])
    assert second.returncode == 11
    assert taken["address"] in second.stderr and "PATHLINE_CONSOLE" in second.stderr
    assert f"process {taken['pid']} (" in second.stderr and "[port_in_use]" in second.stderr
    assert "ready on" not in second.stdout
    assert not relatives(tmp_path / "other")


def test_a_killed_service_is_started_again_within_10_s(up: Up) -> None:
    first = up.pids()["ingest"]
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: up.pids().get("ingest", first) != first, RESTART_SECONDS, lambda: up.output)
    assert time.monotonic() - killed < RESTART_SECONDS
    assert "ingest: ended by signal 9" in up.output and "ingest: starting again in 0.5 s" in up.output
    up.wait_for("ingest: ready on", START_SECONDS, times=2)


def test_killed_servers_come_back_and_nothing_is_lost(up: Up, home: Path) -> None:
    pids = up.pids()
    for name in ("kafka", "postgres"):
        os.kill(pids[name], signal.SIGKILL)
    for name in ("kafka", "postgres"):
        up.wait_for(f"{name}: starting again", RESTART_SECONDS)
        up.wait_for(f"{name}: ready on", START_SECONDS, times=2)
    assert run(home, "status", "--wait", str(START_SECONDS)).returncode == 0, up.output
    until(lambda: up.post("Product Viewed", userId="ada").status_code == httpx.codes.OK, 60, lambda: up.output)

    def events() -> list[str]:
        customer = up.ask("/customers/lookup", kind="user_id", value="ada").json()
        items = up.ask(f"/customers/{customer.get('id')}/touchpoints").json().get("items", [])
        return [one["event"] for one in items]

    until(lambda: events() == ["Order Completed", "Product Viewed"], 60, lambda: f"{events()}")


def test_no_log_holds_anything_of_a_person(up: Up, home: Path) -> None:
    for log in (home / "logs").iterdir():
        assert PERSON not in log.read_text(encoding="utf-8", errors="replace"), log
    assert PERSON not in up.output


def test_it_drains_in_order_and_leaves_nothing(up: Up, home: Path) -> None:
    left = {name: psutil.Process(pid) for name, pid in up.pids().items()}
    assert set(left) == set(STOP_ORDER) - {"demo"}
    ended: list[str] = []

    def look() -> bool:
        for name, process in list(left.items()):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                ended.append(name)
                del left[name]
        return not left

    up.process.send_signal(signal.SIGTERM)
    until(look, END_SECONDS, lambda: up.output)
    assert up.process.wait(END_SECONDS) == 0
    assert ended == [name for name in STOP_ORDER if name != "demo"]
    assert "stopping: each part finishes" in up.output and up.output.splitlines()[-1] == "stopped"
    assert not [line for line in up.output.splitlines() if "was killed" in line]
    assert_nothing_left(home)
    assert run(home, "status").returncode == 1


def test_a_killed_supervisor_leaves_nothing_that_a_second_start_without_a_network_minds(home: Path) -> None:
    with Up(home, **NO_NETWORK) as killed:
        killed.wait_ready()
        assert killed.ask("/customers/lookup", kind="order", value="A-1").status_code == httpx.codes.OK
        killed.process.kill()
        killed.process.wait(END_SECONDS)
        if sys.platform.startswith("linux"):
            assert_nothing_left(home)
    with Up(home, **NO_NETWORK) as again:
        again.wait_ready()
        again.process.send_signal(signal.SIGINT)
        again.wait_for("stopping")
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(5) == 130
        assert_nothing_left(home, 5)


def test_told_to_stop_while_it_starts_it_stops(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Up(home) as starting:
        starting.wait_for("postgres: ready")
        assert starting.end() == 0
        assert_nothing_left(home)


@pytest.mark.parametrize("signals", [1, 2])
def test_a_download_that_hangs_can_be_stopped(tmp_path: Path, signals: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        home = tmp_path / "home"
        env = dict.fromkeys(NO_NETWORK, proxy) | {"PATHLINE_CACHE": str(tmp_path / "cache")}
        with Up(home, **env) as starting:
            starting.wait_for("fetching its files")
            for _ in range(signals):
                starting.process.send_signal(signal.SIGINT)
                starting.wait_for("stopping")
            assert starting.process.wait(END_SECONDS) == (0 if signals == 1 else 130)
            assert_nothing_left(home)
