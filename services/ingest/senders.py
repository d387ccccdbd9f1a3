"""What kind of sender an SDK is, by the name that it gives itself."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

LIBRARY_NAME_MAX: Final = 100
LIBRARY_NAMES_KNOWN: Final = 256
"""Names of SDKs remembered; there are some dozens."""

_LIBRARIES: Final = (
    ("app", ("android", "kotlin", "swift", "-ios", "flutter", "react-native", "react_native", "xamarin", "unity")),
    ("web", ("analytics.js", "analytics-next", "javascript", "pathline.js")),
    ("server", ("node", "python", "ruby", "php", "java", "-go", "net", "rust", "server")),
)
"""What kind of sender an SDK is, by a part of its name; the first that fits."""


def sender_of(library: object) -> str | None:
    """What kind of sender an SDK is by the `library` of its context, or None."""
    name = library.get("name") if isinstance(library, dict) else None
    return _sender_named(name) if type(name) is str and len(name) <= LIBRARY_NAME_MAX else None


@lru_cache(maxsize=LIBRARY_NAMES_KNOWN)
def _sender_named(name: str) -> str | None:
    lower = name.lower()
    for kind, parts in _LIBRARIES:
        if any(part in lower for part in parts):
            return kind
    return None
