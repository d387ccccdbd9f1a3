"""PyPI standardwebhooks signs deliveries: argv has the address, the signing secret and a file with what to tell."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from standardwebhooks import Webhook

url, secret, calls = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
webhook, session = Webhook(secret), requests.Session()
TRIES = 10


def body(kind: str, user: str, text: str) -> str:
    """An event, or a Segment call as it is."""
    now = datetime.now(UTC).isoformat()
    if kind == "identify":
        return json.dumps({"type": kind, "userId": user, "timestamp": now, "traits": {"nickname": text}})
    data = {"user_id": user, "product_id": "p1", "title": text}
    return json.dumps({"type": kind, "timestamp": now, "data": data}, ensure_ascii=False)


def is_taken(told: bytes, message_id: str) -> bool:
    """Deliver it once."""
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign(message_id, now, told.decode()),
    }
    try:
        return session.post(url, told, headers=headers, timeout=30).ok
    except requests.RequestException:
        return False


for number, call in enumerate(calls):
    raw = body(call["type"], call["user"], call["text"]).encode()
    for _ in range(TRIES):
        if is_taken(raw, f"msg_{number}"):
            break
        time.sleep(0.1)
    else:
        sys.exit(f"not taken: {raw!r}")
