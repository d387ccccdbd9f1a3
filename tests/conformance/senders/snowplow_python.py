"""PyPI snowplow-tracker: argv has the address, the write key, a file with the calls and `post` or `get`."""

import json
import sys
import time
from pathlib import Path

from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

url, key, calls = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
method = "get" if "get" in sys.argv[4:] else "post"
sent: set[str] = set()
emitter = Emitter(
    url,
    method=method,
    batch_size=1 if method == "get" else 20,
    on_success=lambda events: sent.update(one["eid"] for one in events),
)


def wait(count: int) -> None:
    """Until so many are sent. It tries again by a timer, and gives nothing to wait for."""
    deadline = time.monotonic() + 100
    while len(sent) < count:
        if time.monotonic() > deadline:
            sys.exit(f"{len(sent)} of {count} were sent")
        tracker.flush()
        time.sleep(0.01)


tracker = Tracker("conformance", [emitter], app_id=key, encode_base64=True)
for number, call in enumerate(calls, 1):
    subject, text = Subject().set_user_id(call["user"]), call["text"]
    match call["type"]:
        case "page_view":
            event = PageView("https://shop.example/docs", text, event_subject=subject)
        case "page_ping":
            event = PagePing("https://shop.example/docs", text, event_subject=subject)
        case "struct":
            event = StructuredEvent("docs", "read", label=text, value=1.5, event_subject=subject)
        case "screen_view":
            event = ScreenView("5e2e5b8b-9d2f-4a43-9f0f-0b7c9d3c7c55", text, event_subject=subject)
        case _:
            data = SelfDescribingJson(
                "iglu:com.example/product_viewed/jsonschema/1-0-0", {"product_id": "p1", "title": text}
            )
            event = SelfDescribing(data, event_subject=subject)
    tracker.track(event)
    if method == "get":
        # Of several that it has to send by GET it forgets those that failed, if the last did not.
        wait(number)
wait(len(calls))
