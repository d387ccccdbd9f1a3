"""The demo's own write keys, in a namespace that keeps its customers apart from the user's own."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "demo-shop"
"""Detectors have shorter thresholds for it (`overrides`): the shop's days are minutes."""
SERVER_KEY: Final = "demo-shop"
BROWSER_KEY: Final = "demo-shop-web"
"""Known to everyone, and therefore refused from any other machine."""
