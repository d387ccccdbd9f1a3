"""PyPI segment-analytics-python: argv has the address, the write key and a file with the calls."""

import json
import sys
from pathlib import Path

from segment.analytics import Client

url, key, calls = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
failed: list[str] = []
client = Client(key, host=url, gzip="gzip" in sys.argv[4:], on_error=lambda error, _items: failed.append(repr(error)))
for call in calls:
    user, text = call["user"], call["text"]
    match call["type"]:
        case "identify":
            client.identify(user, {"nickname": text})
        case "track":
            client.track(user, "Product Viewed", {"product_id": "p1", "title": text})
        case "page":
            client.page(user, "Docs", text, {"title": text})
        case "screen":
            client.screen(user, "Docs", text, {"title": text})
        case "group":
            client.group(user, "acme", {"title": text})
        case "alias":
            client.alias(call["visitor"], user)
client.shutdown()
sys.exit("\n".join(failed) or 0)
