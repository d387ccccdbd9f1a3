"""Ports: a free one that stays free, and who holds one that is not."""

import os
import socket

import psutil
import pytest

from pathline.embedded import ports
from pathline.embedded.trouble import Code, TroubleError


def test_a_free_port_is_not_one_that_outgoing_connections_are_given() -> None:
    found = {ports.free_port() for _ in range(20)}
    assert all(1_024 < port < ports._ephemeral_port_min() for port in found)
    assert len(found) > 1


def test_port_0_is_made_a_free_one() -> None:
    host, _colon, port = ports.resolve("127.0.0.1:0").rpartition(":")
    assert host == "127.0.0.1" and int(port) > 0
    assert ports.resolve("127.0.0.1:8080") == "127.0.0.1:8080"


def test_a_port_in_use_says_which_and_by_whom() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TroubleError) as raised:
            ports.check_free(f"127.0.0.1:{port}", "ingest", "PATHLINE_COLLECTOR")
    said = str(raised.value)
    assert raised.value.code == Code.PORT_IN_USE
    assert f"127.0.0.1:{port} (ingest)" in said and "PATHLINE_COLLECTOR" in said
    assert f"process {os.getpid()} (" in said and "python" in said
    ports.check_free(f"127.0.0.1:{port}", "ingest", "PATHLINE_COLLECTOR")


def test_where_we_may_not_look_it_is_still_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TroubleError, match="Address already in use"):
            ports.check_free(f"127.0.0.1:{port}", "ingest", "PATHLINE_COLLECTOR")


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(TroubleError, match="PATHLINE_CONSOLE"):
        ports.check_free("192.0.2.1:8081", "console", "PATHLINE_CONSOLE")


def test_a_process_in_words() -> None:
    assert ports.describe(None) == "a process of another user"
    assert ports.describe(2**30) == f"process {2**30}"
