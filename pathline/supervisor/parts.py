"""The parts that are not embedded servers: our own services, and servers that somebody else runs."""

import asyncio
import ipaddress
import os
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from pathline.embedded import kafka, ports
from pathline.embedded.processes import Launch
from pathline.kit.database import DATABASE_ERRORS
from pathline.kit.settings import join_address, split_address
from pathline.supervisor.state import PartState

SERVICES = ("ingest", "stitcher", "scorer", "console")
ADDRESS_SETTINGS = {"ingest": "collector", "demo": "shop"}
"""Which setting holds a part's address, where it is not the part's own name."""
UNBALANCED = {"PATHLINE_LEAVE_SECONDS": "0"}
"""What a service need not do here unless it is told to: on one machine no balancer has to hear that it goes."""
PROBE_SECONDS = 2.0
WATCH_SECONDS = 2.0
"""How often a server that somebody else runs is asked whether it is there."""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Health is asked over plain HTTP; without this, httpx reads every certificate authority each time, for 50 ms."""


class ServicePart:
    """One of our services, run as `pathline NAME`."""

    start_seconds = 30.0
    stop_seconds = 20.0

    def __init__(self, name: str, *, address: str, variable: str, home: Path, env: Mapping[str, str]) -> None:
        """Run with `env`; it listens on `address`, which the setting `variable` gives."""
        self.name = name
        self._address = address
        self._variable = variable
        self._home = home
        self._env = env

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._address

    async def prepare(self) -> None:
        """Say who holds its port, rather than let it fail. Raises TroubleError."""
        ports.check_free(self._address, self.name, self._variable)

    def launch(self) -> Launch:
        """The same program as this one, with the service's name."""
        program = Path(sys.executable).with_name("pathline")
        start = [str(program)] if program.exists() else ["-m", "pathline.cli"]
        env = {**UNBALANCED, **{name: os.environ[name] for name in UNBALANCED if name in os.environ}, **self._env}
        return Launch(argv=[sys.executable, *start, self.name], cwd=self._home, env=env)

    async def unready(self) -> str | None:
        """What `/health/ready` gives for a reason, or None."""
        return await probe_service(self._address)


class RemotePart:
    """A Kafka or a Postgres that somebody else runs: it is watched, never started."""

    def __init__(self, name: str, url: str) -> None:
        """`url` is a bootstrap address for `kafka`, a postgresql:// URL for `postgres`."""
        self.name = name
        self._url = url
        self._reason: str | None = "not asked yet"

    @property
    def ready(self) -> bool:
        """Whether it could be used when last asked."""
        return self._reason is None

    def state(self) -> PartState:
        """How it is, for `status`."""
        return PartState(self.name, self.address, None, "ready" if self.ready else "not ready", self._reason, None)

    async def watch(self, say: Callable[[str], None]) -> None:
        """Until cancelled: ask now and then, and say when it goes away or comes back."""
        while True:
            was_ready, self._reason = self.ready, await self.unready()
            if was_ready and not self.ready:
                say(f"{self.name}: {self.address} cannot be used: {self._reason}")
            elif self.ready and not was_ready:
                say(f"{self.name}: ready on {self.address}")
            await asyncio.sleep(WATCH_SECONDS)

    @property
    def address(self) -> str:
        """Where it answers, without a password."""
        return self._url if self.name == "kafka" else without_password(self._url)

    async def unready(self) -> str | None:
        """Why it cannot be used, or None."""
        return await (kafka.unanswering(self._url) if self.name == "kafka" else probe_postgres(self._url))


async def probe_service(address: str) -> str | None:
    """Why the service at `address` is not ready, or None when it is."""
    host, port = split_address(address)
    where = join_address(loopback_of(host), port)
    try:
        async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False, verify=_NO_TLS) as client:
            answer = await client.get(f"http://{where}/health/ready")
            if answer.status_code == httpx.codes.OK:
                return None
            reasons = answer.json().get("reasons", {})
            return "; ".join(f"{key}: {why}" for key, why in reasons.items()) or f"HTTP {answer.status_code}"
    except httpx.TransportError:
        return "does not answer"
    except (ValueError, AttributeError):
        return "answers something else than health"


def loopback_of(host: str) -> str:
    """Where to reach a server that listens on `host`: loopback for one that listens on every address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "::1" if isinstance(address, ipaddress.IPv6Address) else "127.0.0.1"


async def probe_postgres(dsn: str) -> str | None:
    """Why the database at `dsn` takes no statements, or None when it does."""
    try:
        connection = await asyncpg.connect(dsn, timeout=PROBE_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        return "does not answer"  # the system's words would name a socket, or an errno
    except DATABASE_ERRORS as problem:
        return str(problem) or "does not answer"
    await connection.close(timeout=PROBE_SECONDS)
    return None


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}").geturl()
