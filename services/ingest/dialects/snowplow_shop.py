"""What Snowplow's shop events say in our words: one schema for all actions, and the rest in entities beside it."""

from __future__ import annotations

from typing import Any, Final

from services.ingest.dialects import wire

ACTION: Final = "snowplow_ecommerce_action"
"""The name of the schema; its `type` says what was done."""

EVENTS: Final = {
    "add_to_cart": "Product Added",
    "checkout_step": "Checkout Step Viewed",
    "list_click": "Product Clicked",
    "list_view": "Product List Viewed",
    "product_view": "Product Viewed",
    "promo_click": "Promotion Clicked",
    "promo_view": "Promotion Viewed",
    "refund": "Order Refunded",
    "remove_from_cart": "Product Removed",
    "transaction": "Order Completed",
}
"""The event of each action; `trns_error` has no order to fail and keeps its name."""

_PROPERTIES: Final = {
    "transaction": {
        "transaction_id": "order_id",
        "revenue": "total",
        "currency": "currency",
        "payment_method": "payment_method",
        "tax": "tax",
        "shipping": "shipping",
        "discount_code": "coupon",
        "discount_amount": "discount",
    },
    "refund": {
        "transaction_id": "order_id",
        "refund_amount": "total",
        "currency": "currency",
        "refund_reason": "reason",
    },
    "checkout_step": {
        "step": "step",
        "payment_method": "payment_method",
        "delivery_method": "delivery_method",
        "coupon_code": "coupon",
    },
    "cart": {"cart_id": "cart_id", "total_value": "value", "currency": "currency"},
    "promotion": {"id": "promotion_id", "name": "name", "creative_id": "creative", "slot": "position"},
    "transaction_error": {
        "error_code": "code",
        "error_shortcode": "decline_code",
        "error_description": "reason",
    },
}
"""What the fields of each entity are called in a call."""

_SAME: Final = ("name", "category", "brand", "variant", "price", "quantity", "size", "position", "currency")
_PRODUCT: Final = {"id": "product_id", **dict(zip(_SAME, _SAME, strict=True))}
_OF_ONE: Final = frozenset({"add_to_cart", "list_click", "product_view", "remove_from_cart"})
"""Actions on one product, which stands beside them rather than in a list."""

_VENDOR: Final = "com.snowplowanalytics.snowplow.ecommerce/"


def first(attached: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    """The first entity of Snowplow's own of this name, or none."""
    found = _all(attached, f"iglu:com.snowplowanalytics.snowplow/{name}/")
    return found[0] if found else {}


def person(attached: list[tuple[str, Any]]) -> dict[str, Any]:
    """The shop's customer: `id` and `email`. A guest's id is no name that would be met again."""
    found = _all(attached, f"iglu:{_VENDOR}user/")
    user = found[0] if found else {}
    return {name: user[name] for name in ("id", "email") if name in user and (name != "id" or not user.get("is_guest"))}


def said(told: dict[str, Any], attached: list[tuple[str, Any]]) -> tuple[object, dict[str, Any]]:
    """The event and the properties of a shop's action."""
    action = told.get("type")
    properties = wire.filled((("list", told.get("name")),))
    for name, names in _PROPERTIES.items():
        for entity in _all(attached, f"iglu:{_VENDOR}{name}/")[:1]:
            properties |= wire.renamed(entity, names)
    products = [wire.renamed(entity, _PRODUCT) for entity in _all(attached, f"iglu:{_VENDOR}product/")]
    if action in _OF_ONE and len(products) == 1:
        properties |= products[0]
    elif products:
        properties["products"] = products
    return (EVENTS.get(action, action) if isinstance(action, str) else action), properties


def _all(attached: list[tuple[str, Any]], start: str) -> list[dict[str, Any]]:
    return [data for schema, data in attached if schema.startswith(start) and isinstance(data, dict)]
