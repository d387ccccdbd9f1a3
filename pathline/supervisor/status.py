"""`pathline status`: each part as it is now, asked anew."""

import asyncio
import time

import msgspec

from pathline.embedded import home as homes
from pathline.embedded import kafka
from pathline.kit.settings import NoDatabaseError, Settings
from pathline.supervisor import state
from pathline.supervisor.parts import ADDRESS_SETTINGS, SERVICES, probe_postgres, probe_service, without_password

WAIT_STEP_SECONDS = 0.2


class Health(msgspec.Struct, frozen=True):
    """One part: where it is, whether it is ready, and if not, why."""

    name: str
    address: str
    pid: int | None
    ready: bool
    reason: str | None
    restarts: int
    log: str | None


class Status(msgspec.Struct, frozen=True):
    """All parts. `supervisor` is the process id of the `up` that holds the home, when there is one."""

    ready: bool
    home: str
    supervisor: int | None
    parts: tuple[Health, ...]


async def look(settings: Settings) -> Status:
    """Ask every part now; an `up` on the home tells their addresses, the settings do without one."""
    home = settings.home.expanduser().absolute()
    supervisor = homes.holder(home)
    snapshot = state.read(home) if supervisor is not None else None
    if snapshot is not None and snapshot.supervisor != supervisor:
        snapshot = None  # what a killed `up` left; the one that holds the home has not written yet
    known = {part.name: part for part in snapshot.parts} if snapshot is not None else {}
    names = ["kafka", "postgres", *SERVICES, *(["demo"] if snapshot is not None and snapshot.demo else [])]
    parts = await asyncio.gather(*(_look_at(name, known.get(name), settings) for name in names))
    # An `up` that still prepares has more to do than its parts show.
    complete = supervisor is None or (snapshot is not None and snapshot.ready)
    return Status(
        ready=complete and all(part.ready for part in parts),
        home=str(home),
        supervisor=supervisor,
        parts=tuple(parts),
    )


async def wait(settings: Settings, seconds: float) -> Status:
    """Look until all are ready, `seconds` at most."""
    deadline = time.monotonic() + seconds
    while not (status := await look(settings)).ready and time.monotonic() < deadline:
        await asyncio.sleep(WAIT_STEP_SECONDS)
    return status


async def _look_at(name: str, known: state.PartState | None, settings: Settings) -> Health:
    address, reason = await _ask(name, known, settings)
    if known is not None and known.state == "dead":
        reason = f"{known.reason}; starting again"
    return Health(
        name=name,
        address=address,
        pid=None if known is None else known.pid,
        ready=reason is None,
        reason=reason,
        restarts=0 if known is None else known.restarts,
        log=None if known is None else known.log,
    )


async def _ask(name: str, known: state.PartState | None, settings: Settings) -> tuple[str, str | None]:
    if name == "kafka":
        address = settings.bootstrap()
        return address, await kafka.unanswering(address)
    if name == "postgres":
        try:
            dsn = settings.dsn()
        except NoDatabaseError as unknown:
            return "", str(unknown)
        shown = known.address if known is not None else without_password(dsn)
        return shown, await probe_postgres(dsn)
    address = known.address if known is not None else getattr(settings, ADDRESS_SETTINGS.get(name, name))
    return address, await probe_service(address)
