"""What can be set on a scorer."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from pathline.kit.settings import Settings


class ScorerSettings(Settings):
    """Settings of the scorer, from `PATHLINE_*`."""

    instance: str = Field(
        default="",
        max_length=100,
        description="Name of this process among its peers; with one, a restart takes its partitions back at once.",
    )
    detectors: Path | None = Field(
        default=None, description="Folder of further detectors; one with a built-in's name replaces it."
    )
    detector_overrides: Path | None = Field(
        default=None, description="File of other thresholds, for the deployment or for one namespace."
    )
    scorer_batch: int = Field(default=1_000, ge=1, le=10_000, description="Hints judged in one transaction, at most.")
    scorer_due_batch: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Stories judged in one transaction because a deadline passed, at most.",
    )
    scorer_neighbours: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Stories judged in one transaction because of what their customers did elsewhere, at most.",
    )
    scorer_connections: int = Field(default=6, ge=4, le=50, description="Connections to PostgreSQL.")
    scorer_poll_ms: int = Field(
        default=500, ge=50, le=5_000, description="How often passed deadlines are looked for, in ms."
    )
    blind_after_seconds: int = Field(
        default=300,
        ge=10,
        le=86_400,
        description="A deadline waits so long for touchpoints that are received but not read, then fires blind.",
    )
    stall_seconds: int = Field(
        default=60, ge=10, le=3_600, description="With hints waiting and none judged for so long, the process ends."
    )
    outbox_batch: int = Field(default=200, ge=1, le=5_000, description="Notices taken from the outbox at a time.")
    outbox_poll_ms: int = Field(default=200, ge=20, le=5_000, description="How often the outbox is looked at, in ms.")
    webhook_url: str | None = Field(
        default=None, pattern=r"^https?://", max_length=2_000, description="Where alerts are posted; unset: nowhere."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Key the posts are signed with (Standard Webhooks), whsec_ and base64."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Whether the webhook may be on this machine or a private network."
    )
    webhook_timeout_seconds: float = Field(default=15, ge=1, le=60, description="How long one post may take.")
    webhook_concurrency: int = Field(default=8, ge=1, le=100, description="Posts under way at once.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        max_length=2_000,
        description="Where people reach the console, for links; unset: http:// and PATHLINE_CONSOLE.",
    )

    @property
    def console_url(self) -> str:
        """Where links to an alert lead."""
        return (self.public_url or f"http://{self.console}").rstrip("/")
