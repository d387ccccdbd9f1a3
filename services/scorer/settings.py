"""What can be set on a scorer."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pathline.kit.settings import Settings

KEY_PREFIX: Final = "whsec_"
LEAST_KEY_BYTES: Final = 24
MOST_KEY_BYTES: Final = 64
"""The length of a webhook's key, as Standard Webhooks has it."""


class ScorerSettings(Settings):
    """Settings of the scorer, from `PATHLINE_*`."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

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
    detectors_poll_seconds: int = Field(
        default=5, ge=1, le=300, description="How often the files of detectors are looked at; SIGHUP does so at once."
    )
    new_detectors: Literal["shadow", "live"] = Field(
        default="shadow", description="How a detector begins that is met for the first time in the folder."
    )
    rejudge_batch: int = Field(
        default=200,
        ge=1,
        le=5_000,
        description="Stories judged again in one transaction because detectors changed, at most.",
    )
    scorer_batch: int = Field(default=1_000, ge=1, le=10_000, description="Hints judged in one transaction, at most.")
    scorer_at_once: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Transactions under way at once, of different partitions, where more hints wait than one judges.",
    )
    scorer_pace_ms: int = Field(
        default=40,
        ge=0,
        le=1_000,
        description="Under load a transaction that is not full begins up to so many ms after the last one; 0: at once.",
    )
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

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            text = secret.get_secret_value()
            try:
                key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
            except ValueError:
                key = b""
            if not text.startswith(KEY_PREFIX) or not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
                message = f"give {KEY_PREFIX} and {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} bytes in base64"
                raise ValueError(message)
        return secret

    @model_validator(mode="after")
    def _signs_what_it_posts(self) -> Self:
        if self.webhook_url is not None and self.webhook_secret is None:
            message = "PATHLINE_WEBHOOK_URL needs PATHLINE_WEBHOOK_SECRET: nothing is posted unsigned"
            raise ValueError(message)
        return self

    @property
    def console_url(self) -> str:
        """Where links to an alert lead."""
        return (self.public_url or f"http://{self.console}").rstrip("/")
