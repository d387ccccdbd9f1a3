"""What SDKs fetch before they send: the settings of a Segment project, the configuration of a RudderStack source."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from services.ingest.answers import HeaderMap
from services.ingest.codes import Refused
from services.ingest.dialects import wire

HOST_MAX: Final = 255
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
_SCHEMES: Final = ("https", "http")

_OFF: Final = {"enabled": False}
RUDDER: Final = wire.encode(
    {
        "source": {
            "id": "pathline",
            "name": "pathline",
            "workspaceId": "pathline",
            "enabled": True,
            "config": {"statsCollection": {"errors": _OFF, "metrics": _OFF}},
            "destinations": [],
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }
    }
)
"""A source without destinations, whatever its key. Where to send to is a setting of RudderStack's SDKs."""

BAD_HOST: Final = Refused("bad_host", "the Host header is no host, and the collector was not told its address")


class Place(NamedTuple):
    """Where calls are to be sent. `host` may have a port and a path."""

    scheme: str
    host: str


def place_of(headers: HeaderMap, scheme: str, public: str | None) -> Place | Refused:
    """Where a collector is: by its setting, else where it was asked.

    What a request says of its host goes into its own answer and nowhere else, which no cache keeps.
    """
    if public is not None:
        parts = urlsplit(public)
        return Place(parts.scheme, f"{parts.netloc}{parts.path.rstrip('/')}")
    host = headers.get(b"host", b"").decode("latin-1")
    if len(host) > HOST_MAX or _HOST.fullmatch(host) is None:
        return BAD_HOST
    # Of several proxies the first, which the browser spoke to, is named first.
    forwarded = headers.get(b"x-forwarded-proto", b"").decode("latin-1").partition(",")[0].strip().lower()
    return Place(forwarded if forwarded in _SCHEMES else scheme, host)


def segment(key: str, place: Place) -> bytes:
    """A project with one integration, ours: with more, analytics-next would fetch the code of destinations."""
    settings: dict[str, Any] = {
        "integrations": {
            "Segment.io": {"apiKey": key, "apiHost": f"{place.host}/v1", "protocol": place.scheme, "retryQueue": True}
        },
        # What SDKs measure of themselves they would else send to Segment.
        "metrics": {"sampleRate": 0},
        "plan": {"track": {"__default": {"enabled": True}}},
    }
    return wire.encode(settings)
