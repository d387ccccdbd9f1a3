"""Ports of this machine: a free one, and who holds one that is not."""

import random
import socket
from pathlib import Path

import psutil

from pathline.embedded.trouble import Code, TroubleError
from pathline.kit.settings import join_address, split_address

FREE_PORT_MIN = 10_081
"""Browsers refuse some ports, 10080 (Amanda's) the highest of them: a console must not be given one."""
EPHEMERAL_PORT_MIN = 32_768
"""Where the ports of outgoing connections begin, unless the system says otherwise."""
TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now, and no outgoing connection is given.

    The latter matters: while a server is away, one of the clients that keep trying its port may be given that very
    port as its own, and then the server cannot have it back.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    chance = random.SystemRandom()
    limit = max(_ephemeral_port_min(), FREE_PORT_MIN + 1)
    for port in (*(chance.randrange(FREE_PORT_MIN, limit) for _ in range(TRIES)), 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                if port == 0:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise AssertionError


def _ephemeral_port_min() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_PORT_MIN


def resolve(address: str) -> str:
    """`host:0` -> `host:` and a free port; any other address as it is."""
    host, port = split_address(address)
    return join_address(host, free_port(host)) if port == 0 else address


def check_free(address: str, part: str, variable: str) -> None:
    """Raise TroubleError, naming who holds it, when `address` is taken; `variable` is the setting to change."""
    host, port = split_address(address)
    try:
        family, _kind, _protocol, _name, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except PermissionError as refused:
        raise TroubleError(
            Code.NOT_ALLOWED, f"Not allowed to listen on {address} ({part}). Set {variable} to a port above 1023."
        ) from refused
    except OSError as taken:
        holder = who_holds(port)
        raise TroubleError(
            Code.PORT_IN_USE,
            f"Cannot listen on {address} ({part}): {holder or taken.strerror}. "
            f"End that, or set {variable} to another address.",
        ) from taken


def who_holds(port: int) -> str | None:
    """Words for the process that listens on `port`, or None when nobody does or we may not know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return f"port {port} is held by {describe(connection.pid)}"
    return None


def describe(pid: int | None) -> str:
    """Words for a process: its id, name and command."""
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())[:120]
        return f"process {pid} ({command or process.name()})"
    except psutil.Error:
        return f"process {pid}"
