"""The SDKs: what each is called, how it is run, what it can send, and what it is known to do."""

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
_SNOWPLOW: Final = ("page_view", "page_ping", "struct", "self_describing", "screen_view")


class Sdk(NamedTuple):
    """One SDK in one of its modes. `name` is its write key here."""

    name: str
    package: str
    runs: Literal["python", "node", "browser"]
    sender: str
    types: tuple[str, ...] = _SERVER
    mode: str = ""
    """What it is told besides; shown in the table."""
    gzip: bool = False
    retries: bool = True
    waits: bool = True
    """Whether it waits as long as a Retry-After says; else it tries again at a pace of its own."""

    @property
    def title(self) -> str:
        """As the table has it."""
        return f"{self.package} ({self.mode})" if self.mode else self.package

    @property
    def user(self) -> str:
        """Whose calls it sends."""
        return f"ann-of-{self.name}"

    def calls(self) -> list[dict[str, Any]]:
        """What it is to send: types in turn, each call with its number at the end of a text."""
        return [
            {
                "type": self.types[number % len(self.types)],
                "user": self.user,
                "visitor": f"visitor of {self.name} #{number};",
                "text": f"{TEXT} #{number};",
            }
            for number in range(CALLS)
        ]


SDKS: Final = (
    Sdk("segment-python", "segment-analytics-python", "python", "segment_python.py"),
    Sdk("segment-python-gzip", "segment-analytics-python", "python", "segment_python.py", mode="gzip", gzip=True),
    Sdk("rudder-python", "rudder-sdk-python", "python", "rudder_python.py", gzip=True, waits=False),
    Sdk("segment-node", "@segment/analytics-node", "node", "segment_node.cjs"),
    Sdk("rudder-node", "@rudderstack/rudder-sdk-node", "node", "rudder_node.cjs", gzip=True),
)


def version(sdk: Sdk) -> str:
    """As its lock has it; nothing else is installed."""
    if sdk.runs == "python":
        lock = (HERE / "python" / "requirements.lock").read_text(encoding="utf-8")
        found = re.search(rf"^{re.escape(sdk.package)}==(\S+)", lock, re.MULTILINE)
        assert found is not None, sdk.package
        return found[1]
    packages = json.loads((HERE / "node" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return str(packages[f"node_modules/{sdk.package}"]["version"])
