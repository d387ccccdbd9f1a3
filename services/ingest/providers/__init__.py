"""Webhooks of shops, couriers and payment providers: each delivery is checked, and translated to calls.

A module a provider, pure: the mapping stands at its top as tables, to be read beside the provider's own documents.
"""

from __future__ import annotations

from typing import Final

from services.ingest.providers import aftership, easypost, shippo, shopify, standard, stripe, woocommerce
from services.ingest.providers.delivery import Delivery, Provider, Translation, Verify

__all__ = ["PROVIDERS", "Delivery", "Provider", "Translation", "Verify"]

PROVIDERS: Final[dict[str, Provider]] = {
    module.PROVIDER.name: module.PROVIDER
    for module in (shopify, stripe, aftership, easypost, shippo, woocommerce, standard)
}
"""Every provider by its name."""
