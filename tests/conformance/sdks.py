"""The SDKs, and senders of webhooks: what each is called, how it is run, what it can send, and what it is known to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

HERE: Final = Path(__file__).parent
CALLS: Final = 200
"""Sent by each."""

TEXT: Final = 'Cafe\u0301 שָׁלוֹם \u202bعَرَبِيّ\u202c 👩\u200d👩\u200d👧 \U00010437 "quoted" back\\slash <&>'
"""Combining and right-to-left letters, a family of joined emoji, a letter beyond the first plane, and what gets escaped."""

_SERVER: Final = ("identify", "track", "page", "screen", "group", "alias")
_BROWSER: Final = ("identify", "track", "page", "group")
_SNOWPLOW: Final = ("page_view", "struct", "self_describing")
_BECOMES: Final = {
    "page_view": "page", "screen_view": "screen",
    "customers/update": "identify", "customer.created": "identify", "customer.updated": "identify",
}  # fmt: skip
_STANDARD: Final = ("identify", "product.viewed", "acme.thing_happened")
_STRIPE: Final = ("payment_intent.payment_failed", "charge.failed", "charge.dispute.created", "invoice.paid")
_SHOPIFY: Final = ("orders/create", "orders/paid", "orders/cancelled", "checkouts/create", "customers/update")
_AFTERSHIP: Final = ("tracking_update", "edd_revise", "tracking_pending_time")
_EASYPOST: Final = ("tracker.created", "tracker.updated")
_WOOCOMMERCE: Final = ("order.created", "order.updated", "order.restored", "customer.created", "customer.updated")
"""Of these the topics of which one delivery is one call."""
_SECRETS: Final = {"standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "stripe": "whsec_example"}


class Package(NamedTuple):
    """What a registry has, and how it is run here."""

    name: str
    """Empty where a provider has none that signs, or checks a signature."""
    runs: Literal["python", "node", "browser"]
    sender: str
    types: tuple[str, ...] = _SERVER
    """What it can send, in its own words; each is a type of a Segment call, or becomes one by _BECOMES, else a track."""
    bundle: str = ""
    """What a page takes of it."""
    refused: tuple[str, ...] = ()
    """What it can send, and a browser key may not."""
    settings: str = ""
    """Where its page gets its settings before it sends; the path of the collector begins so."""
    provider: str = ""
    """Of the source that takes what it signs: it is a library of those who send webhooks."""
    signs: bool = True
    """Else what is sent is signed as the provider's documents say, and the library, if there is one, accepts it."""


class Sdk(NamedTuple):
    """One SDK in one of its modes. `name` is its write key here."""

    name: str
    package: Package
    mode: str = ""
    """What it is told besides; shown in the table."""
    gzip: bool = False
    retries: bool = True
    waits: bool = True
    """Whether it waits as long as a Retry-After says; else it tries again at a pace of its own."""
    simple: bool = False
    """Whether all that its page sends is such that a browser asks nobody whether it may."""
    failing: str = ""
    """The name of the one that meets the faults in its place, and loses by them what it does not send again."""
    known_as: str = ""
    """Whose calls it sends, where that is no text of ours."""
    met_as: Literal["user_id", "email", "parcel"] = "user_id"
    """As what that is met. Of a parcel alone nobody knows whose it is."""

    @property
    def title(self) -> str:
        """As the table has it."""
        if not self.package.signs:
            return f"its documents, accepted by {self.package.name}" if self.package.name else "its documents"
        return f"{self.package.name} ({self.mode})" if self.mode else self.package.name

    @property
    def source(self) -> str:
        """As what its touchpoints are marked."""
        return f"webhook:{self.name}" if self.package.provider else self.name

    @property
    def secret(self) -> str:
        """What it shows, or signs with."""
        return _SECRETS.get(self.package.provider, self.name)

    @property
    def path(self) -> str:
        """What stands behind the collector's address in the one that it is given."""
        return f"/v1/webhooks/{self.name}" if self.package.provider else ""

    @property
    def user(self) -> str:
        """Whose calls it sends."""
        return self.known_as or f"ann-of-{self.name}"

    def segment_type(self, number: int) -> str:
        """As what the call of that number arrives."""
        types = self.package.types
        own = types[number % len(types)]
        return _BECOMES.get(own, own if own in _SERVER else "track")

    def calls(self) -> list[dict[str, Any]]:
        """What it is to send: what will be refused, then types in turn, each call with its number behind a text."""
        types = self.package.types
        turns = [(number, types[number % len(types)]) for number in range(CALLS)]
        return [
            {
                "type": kind,
                "user": self.user,
                "visitor": f"visitor of {self.name} #{number};",
                "text": f"{TEXT} #{number};",
            }
            for number, kind in [*((CALLS, kind) for kind in self.package.refused), *turns]
        ]


_SEGMENT_PYTHON: Final = Package("segment-analytics-python", "python", "segment_python.py")
_RUDDER_PYTHON: Final = Package("rudder-sdk-python", "python", "rudder_python.py")
_SNOWPLOW_PYTHON: Final = Package(
    "snowplow-tracker", "python", "snowplow_python.py", (*_SNOWPLOW, "page_ping", "screen_view")
)
_SEGMENT_NODE: Final = Package("@segment/analytics-node", "node", "segment_node.cjs")
_RUDDER_NODE: Final = Package("@rudderstack/rudder-sdk-node", "node", "rudder_node.cjs")
_SEGMENT_PAGE: Final = Package(
    "@segment/analytics-next",
    "browser",
    "segment.js",
    (*_BROWSER, "screen"),
    "dist/umd/index.js",
    ("alias",),
    "/v1/projects/",
)
_RUDDER_PAGE: Final = Package(
    "@rudderstack/analytics-js",
    "browser",
    "rudder.js",
    _BROWSER,
    "dist/npm/modern/bundled/umd/index.js",
    ("alias",),
    "/sourceConfig/",
)
_SNOWPLOW_PAGE: Final = Package(
    "@snowplow/browser-tracker", "browser", "snowplow.js", _SNOWPLOW, "dist/index.umd.min.js"
)


def _by_documents(
    name: str,
    types: tuple[str, ...],
    *,
    library: str = "",
    known_as: str,
    met_as: Literal["user_id", "email", "parcel"] = "user_id",
) -> Sdk:
    """A provider whose deliveries differ from the others' by a body and a header."""
    package = Package(library, "python", "providers_python.py", types, provider=name, signs=False)
    return Sdk(name, package, waits=False, known_as=known_as, met_as=met_as)


SDKS: Final = (
    Sdk("segment-python", _SEGMENT_PYTHON),
    Sdk("segment-python-gzip", _SEGMENT_PYTHON, "gzip", gzip=True),
    Sdk("rudder-python", _RUDDER_PYTHON, gzip=True, waits=False),
    Sdk("snowplow-python", _SNOWPLOW_PYTHON, "post", waits=False),
    Sdk("snowplow-python-get", _SNOWPLOW_PYTHON, "get", waits=False),
    Sdk("segment-node", _SEGMENT_NODE),
    Sdk("rudder-node", _RUDDER_NODE, gzip=True),
    Sdk("segment-browser", _SEGMENT_PAGE),
    Sdk("segment-browser-batching", _SEGMENT_PAGE, "batching"),
    Sdk("rudder-browser", _RUDDER_PAGE, waits=False),
    Sdk("rudder-browser-beacon", _RUDDER_PAGE, "beacon", retries=False, failing="rudder-browser-beacon-failing"),
    Sdk("snowplow-browser", _SNOWPLOW_PAGE, "post", waits=False),
    Sdk("snowplow-browser-get", _SNOWPLOW_PAGE, "get", waits=False, simple=True),
)

LOSING: Final = (Sdk("rudder-browser-beacon-failing", _RUDDER_PAGE, "beacon", retries=False),)
"""Those that meet the faults in the place of others."""

WEBHOOKS: Final = (
    Sdk(
        "standard",
        Package("standardwebhooks", "python", "standardwebhooks_python.py", _STANDARD, provider="standard"),
        waits=False,
    ),
    Sdk("stripe", Package("stripe", "node", "stripe_node.cjs", _STRIPE, provider="stripe"), waits=False),
    Sdk(
        "shopify",
        Package("@shopify/shopify-api", "node", "shopify_node.cjs", _SHOPIFY, provider="shopify", signs=False),
        waits=False,
        known_as="7115310627314",
    ),
    _by_documents("aftership", _AFTERSHIP, known_as="ann@aftership.example", met_as="email"),
    _by_documents("easypost", _EASYPOST, library="easypost", known_as="EZ4000004000", met_as="parcel"),
    _by_documents("shippo", ("track_updated",), known_as="9205590164917312751089", met_as="parcel"),
    _by_documents("woocommerce", _WOOCOMMERCE, known_as="26"),
)
"""Their libraries sign, or accept; what delivers and tries again is a few lines of ours, as at a provider."""


def version(package: Package) -> str:
    """As its lock has it; nothing else is installed."""
    if package.runs == "python":
        lock = (HERE / "python" / "requirements.lock").read_text(encoding="utf-8")
        found = re.search(rf"^{re.escape(package.name)}==(\S+)", lock, re.MULTILINE)
        assert found is not None, package.name
        return found[1]
    packages = json.loads((HERE / "node" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return str(packages[f"node_modules/{package.name}"]["version"])
