"""Which address takes what."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.ingest.dialects import Dialect, cloudevents, merge, pixel, snowplow


class Route(NamedTuple):
    """What an address takes: a single call of one type, a batch of calls, or what a dialect makes calls of."""

    name: str
    """As metrics call it."""
    kind: str | None = None
    """The type of a single call; None where there may be several."""
    dialect: Dialect | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that carry touchpoints here."""
        return POST if self.dialect is None else self.dialect.methods


POST: Final = ("POST",)
SINGLE: Final = ("identify", "track", "page", "screen", "group", "alias")
BATCH: Final = Route("batch")
SDK_METRICS: Final = Route("sdk_metrics")
"""What SDKs tell about themselves: taken and dropped."""

_SEGMENT: Final[dict[str, Route]] = {
    **{f"/v1/{kind}": Route(kind, kind) for kind in SINGLE},
    **{f"/v1/{kind[0]}": Route(kind, kind) for kind in SINGLE},
    "/v1/batch": BATCH,
    "/v1/b": BATCH,
    "/v1/import": BATCH,
    "/beacon/v1/batch": Route("beacon"),
    "/v1/m": SDK_METRICS,
}

_DIALECTS: Final[dict[str, Dialect]] = {
    "/com.snowplowanalytics.snowplow/tp2": snowplow.TP2,
    "/i": snowplow.PIXEL,
    "/v1/cloudevents": cloudevents.CLOUDEVENTS,
    "/v1/merge": merge.MERGE,
    **{f"/pixel/v1/{kind}": pixel.PIXEL for kind in ("track", "page")},
    **{f"/v1/pixel/{kind}": pixel.PIXEL for kind in SINGLE},
}

ROUTES: Final[dict[str, Route]] = {
    **_SEGMENT,
    **{path: Route(dialect.name, dialect=dialect) for path, dialect in _DIALECTS.items()},
}
"""Every address that takes touchpoints, but for those of webhooks."""

WEBHOOKS: Final = "/v1/webhooks/"
WEBHOOK: Final = Route("webhook")
"""An address below WEBHOOKS: the source's name is the rest of the path."""


def route_of(path: str) -> Route | None:
    """What the address of this path takes, or None where it takes no touchpoints."""
    return ROUTES.get(path) or (WEBHOOK if path.startswith(WEBHOOKS) else None)


def source_named(path: str) -> str:
    """The name of the source in the path of a webhook."""
    return path.removeprefix(WEBHOOKS).removesuffix("/")
