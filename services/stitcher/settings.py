"""What can be set on a stitcher."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pathline.kit.settings import Settings
from pathline.kit.topics import KEPT_DAYS


class StitcherSettings(Settings):
    """Settings of the stitcher, from `PATHLINE_*`."""

    instance: str = Field(
        default="",
        max_length=100,
        description="Name of this process among its peers; with one, a restart takes its partitions back at once.",
    )
    stages: Path | None = Field(default=None, description="The stage file; none: the one that comes with Pathline.")
    stitcher_batch: int = Field(
        default=1_000, ge=1, le=10_000, description="Touchpoints stitched in one transaction, at most."
    )
    stitcher_pace_ms: int = Field(
        default=40,
        ge=0,
        le=1_000,
        description="Under load a transaction that is not full begins up to so many ms after the last one; 0: at once.",
    )
    stitcher_known_people: int = Field(
        default=200_000,
        ge=0,
        le=10_000_000,
        description="Identifiers whose pointer is remembered between batches, at most; about 1 KB each.",
    )
    stitcher_refused_per_minute: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="A source of which the database refuses more records in a minute is paused for one: its records"
        " become dead letters untried. 0: none is.",
    )
    stitcher_connections: int = Field(
        default=3, ge=2, le=20, description="Connections to PostgreSQL; dead letters have one more."
    )
    tick_ms: int = Field(
        default=500, ge=50, le=2_000, description="How often the time is noted up to which partitions are read, in ms."
    )
    dead_letters_kept_days: int = Field(
        default=28,
        ge=1,
        le=29,
        description="Days for which dead letters are kept; under 30, so that an erased person is gone in a month.",
    )
    touchpoints_kept_days: int = Field(
        default=400,
        ge=35,
        le=3_660,
        description="Days for which touchpoints are kept after their receipt; then their week is dropped.",
    )
    seen_kept_days: int = Field(
        default=35,
        ge=KEPT_DAYS + 1,
        le=400,
        description="Days for which it is known which touchpoints were counted; one received before is refused as too"
        " old. More than Kafka keeps the topic.",
    )
    source_silence_least_seconds: int = Field(
        default=3_600, ge=60, le=604_800, description="A source that is silent for less is never told of."
    )
    source_silence_most_seconds: int = Field(
        default=259_200,
        ge=60,
        le=604_800,
        description="No source may be silent for longer; one that is at times has no rhythm, and is never told of.",
    )
    stall_seconds: int = Field(
        default=60, ge=10, le=3_600, description="With records waiting and none stitched for so long, the process ends."
    )


class RebuildSettings(Settings):
    """Settings of `pathline journeys rebuild`, which goes by the stage file of the stitchers."""

    stages: Path | None = Field(default=None, description="The stage file; none: the one that comes with Pathline.")
    rebuild_batch: int = Field(
        default=2_000,
        ge=1,
        le=20_000,
        description="Touchpoints that `journeys rebuild` reads at a time; it writes a quarter as many states.",
    )
    rebuild_rate: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Touchpoints a second that `journeys rebuild` reads, at most; 0: as fast as it can.",
    )
    rebuild_lag_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=3_600,
        description="`journeys rebuild` waits while the stitchers are further behind than this.",
    )
