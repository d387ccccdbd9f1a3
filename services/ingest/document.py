"""The OpenAPI document of the collector: the hot routes stand outside of FastAPI's routing and are described here."""

from __future__ import annotations

from typing import Any, Final

from services.ingest import document_dialects
from services.ingest.codes import CODES
from services.ingest.routes import ROUTES, SDK_METRICS, WEBHOOKS

_ID: Final = {"type": ["string", "integer", "null"]}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_OBJECT: Final = {"type": ["object", "null"]}
_ERROR: Final = {
    "type": "object",
    "required": ["success", "code", "message"],
    "properties": {
        "success": {"const": False},
        "code": {"type": "string", "enum": list(CODES)},
        "message": {"type": "string"},
        "rejected": {"$ref": "#/components/schemas/Rejected"},
    },
}
_CALL: Final = {
    "type": "object",
    "properties": {
        "type": {"enum": ["identify", "track", "page", "screen", "group", "alias"]},
        "event": {"type": "string", "description": "Of a track call."},
        "name": {"type": "string", "description": "Of a page or screen."},
        **dict.fromkeys(("userId", "anonymousId", "previousId", "groupId", "messageId"), _ID),
        **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt"), _TIME),
        **dict.fromkeys(("properties", "traits", "context"), _OBJECT),
        "writeKey": {"type": "string"},
        "historical": {"type": "boolean"},
    },
}
_BATCH: Final = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": {"$ref": "#/components/schemas/Call"}},
        "context": {**_OBJECT, "description": "Merged under the context of each call."},
        "sentAt": _TIME,
        "writeKey": {"type": "string"},
        "historical": {"type": "boolean", "description": "Server keys: keep the times however old; alert nobody."},
    },
}
_REJECTED: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"index": {"type": "integer"}, "code": {"type": "string"}, "message": {"type": "string"}},
    },
}
_STORED: Final = {
    "type": "object",
    "properties": {"success": {"const": True}, "rejected": {"$ref": "#/components/schemas/Rejected"}},
}
_RETRY_AFTER: Final = {
    "description": "Seconds after which to send the same again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_REFUSALS: Final = ("400", "401", "403", "408", "413", "415", "429", "431", "503")


def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pathline collector", "version": "1"},
        "paths": {
            **{path: {"post": _operation(path)} for path, route in ROUTES.items() if route.dialect is None},
            **document_dialects.paths(),
            f"{WEBHOOKS}{{source}}": {"post": _webhook()},
            "/pathline.js": {"get": _get("The browser script.")},
            "/health/live": {"get": _get("Whether the process turns.")},
            "/health/ready": {"get": _get("Whether calls can be stored now.")},
            "/metrics": {"get": _get("Metrics, as Prometheus reads them.")},
        },
        "components": {
            "schemas": {"Call": _CALL, "Batch": _BATCH, "Rejected": _REJECTED, "Stored": _STORED, "Error": _ERROR},
            "headers": {"RetryAfter": _RETRY_AFTER},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "The write key as user, no password."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The write key."},
                "query": {"type": "apiKey", "in": "query", "name": "writeKey"},
            },
        },
    }


def _operation(path: str) -> dict[str, Any]:
    route = ROUTES[path]
    if route is SDK_METRICS:
        return {"summary": "What SDKs tell about themselves: taken and dropped.", "responses": {"200": _json("Stored")}}
    body = "Call" if route.kind else "Batch"
    return {
        "summary": f"Store a call of type {route.kind}." if route.kind else "Store a batch of calls.",
        "security": [{"basic": []}, {"bearer": []}, {"query": []}, {}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(body)}}},
        "responses": {"200": _json("Stored"), **{status: document_dialects.refusal(status) for status in _REFUSALS}},
    }


def _webhook() -> dict[str, Any]:
    """What a provider delivers is of its own making; the body is checked by its signature."""
    name = {"name": "source", "in": "path", "required": True, "schema": {"type": "string"}}
    refusals = sorted({*_REFUSALS, "404"} - {"403", "429"})
    return {
        "summary": "Store what the provider of this source delivers, signed in its own way.",
        "parameters": [name],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"200": _json("Stored"), **{status: document_dialects.refusal(status) for status in refusals}},
    }


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "It is there."}}}


def _json(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
