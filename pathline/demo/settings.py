"""What can be set on the demo."""

from __future__ import annotations

from pydantic import Field

from pathline.kit.settings import Settings


class DemoSettings(Settings):
    """Settings of the demo, from `PATHLINE_*`."""

    demo_seed: int = Field(
        default=1, ge=0, le=2**31 - 1, description="The same seed gives the demo's shop the same customers."
    )
    demo_rate: float = Field(
        default=3.0, ge=0.1, le=200, description="Touchpoints a second from the demo's customers, in the mean."
    )
