"""Settings: `PATHLINE_*` variables, read once in main, frozen and bounded.

Each service has a subclass of its own beside its code. `Settings.dsn` and `Settings.bootstrap` answer where the
database and the log are: where the variables say, else where `pathline up` on the same home runs them.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PORT_MAX = 65_535
DATABASE_URL_RECORD = "run/database-url"
"""Where under the home a running `pathline up` leaves the address of its Postgres (mode 0600)."""
KAFKA_RECORD = "run/kafka"
"""Where under the home a running `pathline up` leaves the address of its Kafka."""


class NoDatabaseError(Exception):
    """No database is known: set PATHLINE_DATABASE_URL, or start `pathline up` on this PATHLINE_HOME."""

    def __str__(self) -> str:
        """Say the class's own sentence when none was given."""
        return super().__str__() or str(self.__doc__)


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` -> (host, port). Raises ValueError when it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        reason = f"{address!r} is not host:port"
        raise ValueError(reason)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """(host, port) -> `host:port`, a v6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(value: str) -> str:
    split_address(value)
    return value


def _bootstrap(value: str) -> str:
    for address in value.split(","):
        split_address(address.strip())
    return ",".join(address.strip() for address in value.split(","))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        reason = f"{value!r} is not an IANA time zone"
        raise ValueError(reason) from unknown
    return value


def _database_url(value: SecretStr) -> SecretStr:
    # What is wrong is said without the URL, which may hold a password.
    try:
        parts = urlsplit(value.get_secret_value())
        known = parts.scheme in {"postgresql", "postgres"} and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        reason = "it is not a URL postgresql://user:password@host:port/database"
        raise ValueError(reason)
    return value


Address = Annotated[str, AfterValidator(_address)]
Bootstrap = Annotated[str, AfterValidator(_bootstrap)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
Home = Annotated[Path, AfterValidator(Path.expanduser)]
Zone = Annotated[str, AfterValidator(_zone)]
Port = Annotated[int, Field(ge=0, le=PORT_MAX)]


class Settings(BaseSettings):
    """What every part needs. A number has bounds; a secret is a SecretStr."""

    model_config = SettingsConfigDict(env_prefix="PATHLINE_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Home = Field(default=Path(".pathline"), description="Embedded data, logs and the API token live here.")
    kafka: Bootstrap | None = Field(
        default=None, description="Kafka to use, host:port,host:port; unset: the one `pathline up` runs."
    )
    database_url: DatabaseUrl | None = Field(
        default=None, description="PostgreSQL to use, postgresql://...; unset: the one `pathline up` runs."
    )
    kafka_port: Port = Field(default=8092, description="Port of the embedded Kafka; 0: a free one.")
    collector: Address = Field(default="127.0.0.1:8080", description="Address of the collector; port 0: a free one.")
    console: Address = Field(default="127.0.0.1:8081", description="Address of the console and API.")
    stitcher: Address = Field(default="127.0.0.1:8082", description="Address of the stitcher's health and metrics.")
    scorer: Address = Field(default="127.0.0.1:8083", description="Address of the scorer's health and metrics.")
    shop: Address = Field(default="127.0.0.1:8084", description="Address of the demo's shop page (`up --demo`).")
    zone: Zone = Field(default="UTC", description="IANA zone in which a date without a time ends its day.")
    holidays: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z]{2}(-[A-Za-z0-9]{1,5})?$",
        description="Region whose holidays are no working days, as DE or DE-BY (ISO 3166); unset: Monday to Friday.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    topic_prefix: str = Field(
        default="pathline",
        pattern=r"^[a-zA-Z0-9._-]{1,100}$",
        description="First word of every topic and consumer group.",
    )
    partitions: int = Field(default=4, ge=1, le=1_024, description="Partitions of a topic when it is made.")
    replicas: int = Field(default=1, ge=1, le=9, description="Replicas of a topic when it is made; production: 3.")

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises pydantic's ValidationError, which names each bad variable."""
        return cls()

    def dsn(self) -> str:
        """The database to use. Raises NoDatabaseError when none is set and no `pathline up` runs on this home."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        recorded = _read_record(self.home / DATABASE_URL_RECORD)
        if recorded is None:
            raise NoDatabaseError
        return recorded

    def bootstrap(self) -> str:
        """The Kafka to use, as `host:port,host:port`."""
        if self.kafka is not None:
            return self.kafka
        return _read_record(self.home / KAFKA_RECORD) or join_address("127.0.0.1", self.kafka_port)


def _read_record(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
