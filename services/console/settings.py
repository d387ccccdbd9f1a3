"""What can be set on a console."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from pathline.kit.settings import Settings


class NoTokenError(Exception):
    """No API token is known: set PATHLINE_API_TOKEN, or start `pathline up` on this PATHLINE_HOME, which makes one."""

    def __str__(self) -> str:
        """Say the class's own sentence."""
        return str(self.__doc__)


class ConsoleSettings(Settings):
    """Settings of the console, from `PATHLINE_*`."""

    api_token: SecretStr | None = Field(
        default=None, min_length=16, description="Token of the API; unset: the file api-token under PATHLINE_HOME."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        max_length=2_000,
        description="Where people reach the console; with https the session cookie is sent over https only.",
    )
    stages: Path | None = Field(default=None, description="The stage file; none: the one that comes with Pathline.")
    detectors: Path | None = Field(
        default=None, description="Folder of further detectors; one with a built-in's name replaces it."
    )
    console_connections: int = Field(default=8, ge=2, le=50, description="Connections to PostgreSQL.")
    console_streams: int = Field(
        default=1_000, ge=1, le=20_000, description="Live streams served at once, at most; more are refused with 503."
    )
    console_stream_queue: int = Field(
        default=2_000, ge=10, le=100_000, description="Events waiting for one stream before it is dropped as too slow."
    )
    console_stream_memory: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Events remembered for streams that come back."
    )
    console_heartbeat_seconds: float = Field(
        default=10, ge=0.1, le=60, description="How often a stream says that it is alive."
    )
    console_session_hours: int = Field(default=12, ge=1, le=720, description="How long a sign-in lasts.")
    console_map_days: int = Field(default=31, ge=1, le=366, description="Longest window of the journey map, in days.")
    console_survey_answers: int = Field(
        default=30, ge=1, le=1_000, description="A survey's figure over fewer answers is marked as of too few."
    )
    console_map_seconds: int = Field(default=15, ge=0, le=3_600, description="How long a journey map is kept.")

    @property
    def https(self) -> bool:
        """Whether people reach it over https, so that the cookie may demand it."""
        return (self.public_url or "").startswith("https://")

    def token(self) -> str:
        """The API token. Raises NoTokenError."""
        if self.api_token is not None:
            return self.api_token.get_secret_value()
        try:
            token = (self.home / "api-token").read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            token = ""
        if not token:
            raise NoTokenError
        return token
