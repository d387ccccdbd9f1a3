"""Deliveries signed as their providers' documents say: argv has the address, the secret, what to tell and the provider.

PyPI easypost has to accept each of EasyPost before it is sent; the others have no library that checks one.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from easypost.util import validate_webhook

url, secret, calls = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
provider, session = sys.argv[4], requests.Session()
PAYLOADS = Path(__file__).parents[2] / "unit" / "ingest" / "providers" / "payloads"
TRIES = 10
FIRST_ORDER = 5001
"""No order of the other shop has the number of one of these: both would be one order."""


def payload(name: str) -> dict[str, Any]:
    """As the provider has it in its documents."""
    told: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return told


def now() -> str:
    """The time, as the payloads have it, but finer: each delivery tells of another."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def naive() -> str:
    """The same without a zone."""
    return now().removesuffix("Z")


def aftership(call: dict[str, str], number: int) -> dict[str, Any]:
    """The scan of a parcel, with the customer's mailbox."""
    told = payload("aftership")
    scan = told["msg"]["checkpoints"][-2] | {"checkpoint_time": now(), "message": call["text"]}
    customer = told["msg"]["customers"][0] | {"email": call["user"]}
    none = dict.fromkeys(
        ("order_id", "order_number", "expected_delivery", "first_estimated_delivery", "latest_estimated_delivery")
    )
    told["msg"] |= none | {"checkpoints": [scan], "customers": [customer], "emails": [call["user"]]}
    return told | {"event": call["type"], "event_id": f"event-{number}", "ts": int(time.time())}


def easypost(call: dict[str, str], number: int) -> dict[str, Any]:
    """The scan of a tracker."""
    told = payload("easypost")
    detail = told["result"]["tracking_details"][-1] | {"datetime": now(), "message": call["text"]}
    told["result"] |= {"tracking_code": call["user"], "est_delivery_date": None, "tracking_details": [detail]}
    return told | {"id": f"evt_{number}", "description": call["type"]}


def shippo(call: dict[str, str], number: int) -> dict[str, Any]:
    """The scan of a parcel of no order."""
    told = payload("shippo")
    scan = told["data"]["tracking_status"] | {"status_date": now(), "status_details": call["text"]}
    told["data"] |= {"tracking_number": call["user"], "metadata": "", "eta": None, "original_eta": None}
    told["data"] |= {"tracking_status": scan, "tracking_history": [scan]}
    return told | {"event": call["type"]}


def woocommerce(call: dict[str, str], number: int) -> dict[str, Any]:
    """An order that is not paid for yet, or a customer."""
    if call["type"].startswith("customer"):
        customer = {"id": int(call["user"]), "first_name": call["text"], "date_modified_gmt": naive()}
        told = payload("woocommerce_customer")
        return told | customer | {"billing": told["billing"] | {"first_name": call["text"]}}
    order = {
        "id": number + 1,
        "number": str(FIRST_ORDER + number),
        "status": "pending",
        "customer_id": int(call["user"]),
    }
    unpaid: dict[str, Any] = {
        "date_paid": None,
        "date_paid_gmt": None,
        "meta_data": [],
        "payment_method_title": call["text"],
    }
    return payload("woocommerce_order") | order | unpaid | {"date_created_gmt": naive(), "date_modified_gmt": naive()}


def mac(content: bytes) -> hmac.HMAC:
    """HMAC-SHA256, which all of them sign with."""
    return hmac.new(secret.encode(), content, hashlib.sha256)


def in_base64(raw: bytes) -> str:
    """The signature of a body."""
    return base64.b64encode(mac(raw).digest()).decode()


def signed(raw: bytes, call: dict[str, str], number: int) -> dict[str, str]:
    """The headers of a delivery."""
    if provider == "aftership":
        return {"aftership-hmac-sha256": in_base64(raw)}
    if provider == "easypost":
        headers = {"X-Hmac-Signature": f"hmac-sha256-hex={mac(raw).hexdigest()}"}
        validate_webhook(raw, headers, secret)
        return headers
    if provider == "shippo":
        seconds = int(time.time())
        return {"shippo-auth-signature": f"t={seconds},v1={mac(b'%d.%b' % (seconds, raw)).hexdigest()}"}
    topic = {"x-wc-webhook-topic": call["type"], "x-wc-webhook-delivery-id": f"{number}"}
    return topic | {"x-wc-webhook-signature": in_base64(raw)}


def is_taken(raw: bytes, call: dict[str, str], number: int) -> bool:
    """Deliver it once."""
    headers = {"content-type": "application/json", **signed(raw, call, number)}
    try:
        return session.post(url, raw, headers=headers, timeout=30).ok
    except requests.RequestException:
        return False


bodies = {"aftership": aftership, "easypost": easypost, "shippo": shippo, "woocommerce": woocommerce}
for number, call in enumerate(calls):
    raw = json.dumps(bodies[provider](call, number)).encode()
    for _ in range(TRIES):
        if is_taken(raw, call, number):
            break
        time.sleep(0.1)
    else:
        sys.exit(f"not taken: {raw!r}")
