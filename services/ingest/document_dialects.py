"""The part of the OpenAPI document that is about other dialects, and about what their SDKs fetch first."""

from __future__ import annotations

from typing import Any, Final

from services.ingest.routes import ROUTES

Operation = dict[str, Any]

_KEYS: Final[list[dict[str, list[str]]]] = [{"basic": []}, {"bearer": []}, {"query": []}, {}]
_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_STORED: Final = {"$ref": "#/components/schemas/Stored"}
_TAKING: Final = ("400", "401", "403", "408", "429", "503")
_LARGE: Final = ("413", "415", "431")
_AGAIN: Final = ("429", "503")
"""Statuses that ask a sender to try again, and say when."""

_SNOWPLOW: Final = (
    "e", "eid", "aid", "tv", "p", "uid", "duid", "dtm", "stm", "ttm", "url", "page", "refr", "ue_px", "ue_pr", "cx",
    "co", "se_ca", "se_ac", "se_la", "se_pr", "se_va", "tr_id", "tr_tt", "tr_cu", "ti_id", "ti_sk", "ti_qu",
)  # fmt: skip
_PIXEL: Final = ("data", "userId", "anonymousId", "event", "name", "groupId", "previousId", "messageId", "timestamp")
_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "time", "subject", "userid", "anonymousid")

_RETRY: Final = {"retry-after": {"$ref": "#/components/headers/RetryAfter"}}
_TEXT: Final = {"type": "string"}
_EVENT: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        **dict.fromkeys(("time", "subject", "userid", "anonymousid", "datacontenttype", "data_base64"), _TEXT),
        "data": {},
    },
}
_PAYLOAD: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "schema": _TEXT,
        "data": {"type": "array", "items": {"type": "object", "properties": dict.fromkeys(_SNOWPLOW, _TEXT)}},
    },
}
_MERGE: Final = {
    "type": "object",
    "required": ["mergeProperties"],
    "properties": {
        "userId": _TEXT,
        "mergeProperties": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {
                "type": "object",
                "required": ["type", "value"],
                "properties": {
                    "type": {"enum": ["user_id", "anonymous_id", "email", "mobile", "phone"]},
                    "value": _TEXT,
                },
            },
        },
    },
}


def paths() -> dict[str, Any]:
    """What stands under `paths` for each of these addresses."""
    return {
        **{path: _operation(path) for path, route in ROUTES.items() if route.dialect is not None},
        "/v1/projects/{key}/settings": {
            "get": _settings("What Segment's SDKs fetch first.", [_in("path", "key", must=True)], "404")
        },
        "/sourceConfig/": {"get": _settings("What RudderStack's SDKs fetch first.", [_in("query", "writeKey")], "401")},
    }


def _operation(path: str) -> Operation:
    if path == "/i":
        return {"get": _picture("Store an event of Snowplow's, told in the query.", _SNOWPLOW)}
    if "/pixel/" in path:
        return {"get": _picture(f"Store a call of type {path.rpartition('/')[2]}, told in the query.", _PIXEL)}
    if path == "/v1/cloudevents":
        content = {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {"schema": {"description": "The data of an event whose attributes are headers."}},
        }
        headers = [_in("header", f"ce-{name}") for name in _ATTRIBUTES]
        return {
            "post": {
                **_taking("Store CloudEvents: one, a batch, or one in binary mode.", content),
                "parameters": headers,
            }
        }
    if path == "/v1/merge":
        return {
            "post": _taking(
                "Join two names of one person, as RudderStack asks it.", {"application/json": {"schema": _MERGE}}
            )
        }
    operation = _taking("Store a payload of Snowplow's trackers.", {"application/json": {"schema": _PAYLOAD}})
    operation["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}, **_json(_STORED)}
    return {"post": operation}


def _taking(summary: str, content: dict[str, Any]) -> Operation:
    return {
        "summary": summary,
        "security": _KEYS,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "Stored.", "content": _json(_STORED)},
            **{status: refusal(status) for status in (*_TAKING, *_LARGE)},
        },
    }


def refusal(status: str) -> Operation:
    """What an answer of this status says; where trying again is of use, also when."""
    described = {"description": "Refused.", "content": _json(_ERROR)}
    return {**described, "headers": _RETRY} if status in _AGAIN else described


def _picture(summary: str, names: tuple[str, ...]) -> Operation:
    code = {"x-pathline-code": {"description": "The code of a refusal.", "schema": _TEXT}}
    told: dict[str, Operation] = {
        status: {"headers": {**code, **_RETRY} if status in _AGAIN else code, "content": {"image/gif": {}}}
        for status in (*_TAKING, *_LARGE)
    }
    return {
        "summary": summary,
        "security": _KEYS,
        "parameters": [_in("query", name) for name in names],
        "responses": {
            "200": {"description": "Stored.", "content": {"image/gif": {}}},
            **{status: {"description": "Refused.", **said} for status, said in told.items()},
        },
    }


def _settings(summary: str, parameters: list[Operation], unknown: str) -> Operation:
    return {
        "summary": summary,
        "security": _KEYS,
        "parameters": parameters,
        "responses": {
            "200": {"description": "The settings.", "content": _json({"type": "object"})},
            **{status: refusal(status) for status in dict.fromkeys(("400", unknown, "401", "403", "503"))},
        },
    }


def _in(where: str, name: str, *, must: bool = False) -> Operation:
    return {"in": where, "name": name, "required": must, "schema": _TEXT}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
