"""PyPI rudder-sdk-python: argv has the address, the write key and a file with the calls."""

import json
import sys
from pathlib import Path

from rudderstack import analytics

url, key, calls = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
failed: list[str] = []
analytics.write_key = key
analytics.dataPlaneUrl = url
analytics.on_error = lambda error, _items: failed.append(repr(error))
for call in calls:
    user, text = call["user"], call["text"]
    match call["type"]:
        case "identify":
            analytics.identify(user, {"nickname": text})
        case "track":
            analytics.track(user, "Product Viewed", {"product_id": "p1", "title": text})
        case "page":
            analytics.page(user, "Docs", text, {"title": text})
        case "screen":
            analytics.screen(user, "Docs", text, {"title": text})
        case "group":
            analytics.group(user, "acme", {"title": text})
        case "alias":
            analytics.alias(call["visitor"], user)
analytics.shutdown()
sys.exit("\n".join(failed) or 0)
