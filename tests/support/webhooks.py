"""Deliveries as providers send them: their published payloads, signed by their published algorithms, without our code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pathline.contracts import accepted
from pathline.contracts.reading import to_touchpoint
from pathline.domain.touchpoint import Touchpoint
from services.ingest import calls as ingest_calls
from services.ingest.calls import Receipt, Record
from services.ingest.providers import PROVIDERS, Delivery, Translation

PAYLOADS = Path(__file__).parents[1] / "unit" / "ingest" / "providers" / "payloads"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SCANNED, CREATED, REPORTED = "Shipment Scanned", "Shipment Created", "Shipment Reported"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Of the specification's own example."""


def payload(name: str, /, **changed: Any) -> dict[str, Any]:
    """A payload of the folder, with some of its top fields changed."""
    read: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))
    return {**read, **changed}


def _mac(secret: bytes, content: bytes) -> bytes:
    return hmac.new(secret, content, hashlib.sha256).digest()


def _base64(header: str) -> Callable[[bytes, str, datetime], dict[str, str]]:
    return lambda raw, secret, _now: {header: base64.b64encode(_mac(secret.encode(), raw)).decode()}


def _timed(header: str) -> Callable[[bytes, str, datetime], dict[str, str]]:
    def sign(raw: bytes, secret: str, now: datetime) -> dict[str, str]:
        seconds = int(now.timestamp())
        return {header: f"t={seconds},v1={_mac(secret.encode(), b'%d.%b' % (seconds, raw)).hex()}"}

    return sign


def _easypost(raw: bytes, secret: str, _now: datetime) -> dict[str, str]:
    mac = _mac(unicodedata.normalize("NFKD", secret).encode(), raw)
    return {"x-hmac-signature": f"hmac-sha256-hex={mac.hex()}"}


def _standard(raw: bytes, secret: str, now: datetime) -> dict[str, str]:
    seconds = int(now.timestamp())
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(_mac(key, b"msg_1.%d.%b" % (seconds, raw))).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{mac}"}


SIGN: dict[str, Callable[[bytes, str, datetime], dict[str, str]]] = {
    "shopify": _base64("x-shopify-hmac-sha256"),
    "stripe": _timed("stripe-signature"),
    "aftership": _base64("aftership-hmac-sha256"),
    "easypost": _easypost,
    "shippo": _timed("shippo-auth-signature"),
    "woocommerce": _base64("x-wc-webhook-signature"),
    "standard": _standard,
}
"""The headers that carry the signature of a body."""

SECRET = {name: f"{name}-sécret-1" for name in SIGN} | {"standard": STANDARD_SECRET, "stripe": "whsec_sécret-one"}
OTHER = {name: f"{name}-secret-2" for name in SIGN} | {"standard": "whsec_" + "A" * 32, "stripe": "whsec_secret-two"}


def body(told: Any) -> bytes:
    """A body as it goes over the wire."""
    return told if isinstance(told, bytes) else json.dumps(told).encode()


def signed(provider: str, told: Any, *, secret: str | None = None, now: datetime = NOW) -> Delivery:
    """A delivery."""
    raw = body(told)
    given = SIGN[provider](raw, secret or SECRET[provider], now)
    return Delivery(raw, {name.encode(): value.encode() for name, value in given.items()})


def translated(provider: str, told: Any, **headers: str) -> Translation:
    """What a provider makes of a body; `headers` are more of them, with underscores for dashes."""
    delivery = signed(provider, told)
    more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    made = PROVIDERS[provider].translate(delivery._replace(headers={**delivery.headers, **more}))
    assert isinstance(made, Translation), made
    return made


def calls(provider: str, told: Any, **headers: str) -> list[dict[str, Any]]:
    """The calls that a body becomes."""
    return [json.loads(call) for call in translated(provider, told, **headers).calls]


def one(provider: str, told: Any, **headers: str) -> dict[str, Any]:
    """The only call that a body becomes."""
    (call,) = calls(provider, told, **headers)
    return call


def told(listed: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    """Those of this event."""
    return [call for call in listed if call.get("event") == event]


def taken(provider: str, told: Any, **headers: str) -> list[Touchpoint]:
    """The touchpoints that a body becomes in the end; each call must be one that the collector takes."""
    return [_touchpoint(call) for call in translated(provider, told, **headers).calls]


def _touchpoint(call: bytes) -> Touchpoint:
    envelope = accepted.Envelope(source="webhook:x", namespace="default", trusted=True, received_at=NOW)
    receipt = Receipt(
        envelope=envelope, namespace="default", trusted=True, received_at=NOW, call_bytes_max=32_768, sender="server"
    )  # fmt: skip
    record = ingest_calls.take(call, receipt)
    assert isinstance(record, Record), (record, call)
    return to_touchpoint(accepted.decode(record.value))


def statuses(listed: list[dict[str, Any]]) -> list[str | None]:
    """The statuses of all but what only says of which order a parcel is, or when it is expected."""
    scans = (call for call in listed if call["event"] != CREATED and not call["messageId"].startswith("estimate/"))
    return [call["properties"].get("status") for call in scans]
