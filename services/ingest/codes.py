"""What the collector refuses: stable codes, what each means, and the status it is answered with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple, final

import msgspec

CALL_CODES: Final[dict[str, str]] = {
    "call_too_large": "A call, with the context of its batch, is larger than `PATHLINE_CALL_BYTES_MAX`.",
    "not_an_object": "A call, or the body, is no JSON object.",
    "invalid_json": "The text is no JSON: cut short, trailing, a byte order mark, NaN, or another syntax.",
    "invalid_utf8": "The bytes are not UTF-8.",
    "bad_character": "A text holds a NUL or half a surrogate pair, which no database stores.",
    "bad_number": "A number is beyond what a 64-bit float or 4,300 digits can hold.",
    "too_deep": "Objects and arrays are nested deeper than 32.",
    "unknown_type": "`type` is not one of identify, track, page, screen, group, alias.",
    "missing_event": "A track call has no `event`, or one that is no text.",
    "missing_property": "The event needs a property that is absent, empty or cannot be used; the message names it.",
    "unknown_status": "The `status` of a Shipment Scanned is not one that Pathline knows.",
    "bad_properties": "`properties` is there but no object.",
    "bad_traits": "`traits` is there but no object.",
    "bad_context": "`context` is there but no object.",
    "bad_message_id": "`messageId` is neither a text nor an integer, or longer than 100 characters.",
    "bad_timestamp": "`timestamp`, `originalTimestamp` or `sentAt` is no ISO 8601 time.",
    "time_out_of_range": "The time is before 1970 or after 2199.",
    "bad_alias": "An alias call lacks a usable `previousId` or `userId`.",
    "missing_group": "A group call has no usable `groupId`.",
    "no_subject": "The call names neither a person nor a thing by a value that can be used.",
    "bad_base64": "A text that is to be base64 is not.",
    "bad_event": "A Snowplow event, or one of its at most 1,000 entities, is no object of `schema` and `data`.",
    "bad_specversion": "A CloudEvent's `specversion` is not 1.0.",
    "missing_attribute": "A CloudEvent lacks a text `id`, `source` or `type`; the message names it.",
    "event_not_allowed": "The write key has a list of events that it may send, and this one is not on it.",
    "not_translated": "A delivery of a webhook that the mapping of its provider failed on: a fault of Pathline's.",
    "needs_server_key": "A browser key may not send this: reports, alias and history need a server key.",
}
"""Codes of a single call; in a batch they stand under `rejected`."""

REQUEST_CODES: Final[dict[str, str]] = {
    "missing_key": "There is no write key: send it as Basic user, Bearer token, `writeKey` in the body or the query.",
    "unknown_key": "The write key is not known, or was revoked.",
    "local_key": "The write key works only from the collector's own machine.",
    "origin_not_allowed": "The write key may not be used by pages of this origin.",
    "privacy_signal": "The browser sends Global Privacy Control, and the write key takes nothing from such.",
    "rate_limited": "The write key sends more calls than it may; send again after `Retry-After` seconds.",
    "unknown_source": "There is no source of webhooks of this name, or it was revoked.",
    "missing_signature": "A webhook's delivery carries no signature.",
    "bad_signature": "A webhook's signature is not one of this body by a secret of its source.",
    "stale_signature": "A webhook was signed further from now than `PATHLINE_WEBHOOK_TOLERANCE_SECONDS`.",
    "empty_body": "The body is empty.",
    "bad_gzip": "The body says that it is gzip and is not, or is cut short.",
    "bad_encoding": "`Content-Encoding` is neither gzip nor identity.",
    "body_too_large": "The body, also inflated, is larger than may be; one that alone shows the key may be less.",
    "bad_batch": "The body of a batch has no array `batch`.",
    "bad_payload": "The body of a Snowplow request has no array `data`.",
    "bad_content_type": "The events are CloudEvents of another format than JSON.",
    "bad_query": "The query has too many fields, or one that is a value and an object at once.",
    "bad_merge": "A merge does not name two identifiers that can be joined.",
    "bad_host": "The `Host` header is no host, and `PATHLINE_PUBLIC_COLLECTOR` is not set.",
    "empty_batch": "The batch holds no calls.",
    "too_many_calls": "The batch holds more calls than `PATHLINE_BATCH_CALLS_MAX`.",
    "none_accepted": "Every call of the batch was refused; `rejected` says why.",
    "bad_request": "The bytes are not an HTTP request.",
    "body_timeout": "The request did not arrive in `PATHLINE_REQUEST_SECONDS`.",
    "headers_too_large": "The request line and headers are larger or more than the collector reads.",
    "not_found": "There is no such address.",
    "method_not_allowed": "The address does not take this method.",
    "overloaded": "As many bytes wait for an ack as may; send again later.",
    "key_overloaded": "As many bytes of this write key wait for an ack as may; send again later.",
    "too_many_connections": "As many connections are open as may be; try again later.",
    "keys_unavailable": "The write keys, or what this one may send, cannot be read now; send again later.",
    "log_unavailable": "Kafka cannot be written now; send again later.",
    "not_acknowledged": "Kafka did not acknowledge in time; send again: a call that did land is not counted twice.",
    "stopping": "The collector is stopping; send again.",
    "internal": "Something is wrong with Pathline; the log has it.",
}
"""Codes of a whole request."""

CODES: Final[dict[str, str]] = {**CALL_CODES, **REQUEST_CODES}
"""Every stable code of the collector, and what it means."""

STATUS: Final[dict[str, HTTPStatus]] = {
    "call_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "needs_server_key": HTTPStatus.FORBIDDEN,
    "missing_key": HTTPStatus.UNAUTHORIZED,
    "unknown_key": HTTPStatus.UNAUTHORIZED,
    "local_key": HTTPStatus.FORBIDDEN,
    "event_not_allowed": HTTPStatus.FORBIDDEN,
    "origin_not_allowed": HTTPStatus.FORBIDDEN,
    "privacy_signal": HTTPStatus.FORBIDDEN,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "unknown_source": HTTPStatus.NOT_FOUND,
    "missing_signature": HTTPStatus.UNAUTHORIZED,
    "bad_signature": HTTPStatus.UNAUTHORIZED,
    "bad_encoding": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "bad_content_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_calls": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_timeout": HTTPStatus.REQUEST_TIMEOUT,
    "headers_too_large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "key_overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections": HTTPStatus.SERVICE_UNAVAILABLE,
    "keys_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "log_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "not_acknowledged": HTTPStatus.SERVICE_UNAVAILABLE,
    "stopping": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each code; the others are 400."""

RETRY_AFTER_SECONDS: Final = 2
"""What a 503 asks a sender to wait."""


@final
class Refused(NamedTuple):
    """Why something is not taken. `message` is ours, never a copy of what was sent."""

    code: str
    message: str

    @property
    def status(self) -> int:
        """The HTTP status of a request refused for this."""
        return STATUS.get(self.code, HTTPStatus.BAD_REQUEST)


class Rejected(msgspec.Struct):
    """A call of a batch that was not stored."""

    index: int
    code: str
    message: str


class Answer(msgspec.Struct, omit_defaults=True):
    """The body of an answer. `rejected` is there when some calls of a batch were refused."""

    success: bool | msgspec.UnsetType = msgspec.UNSET
    code: str | None = None
    message: str | None = None
    rejected: list[Rejected] | None = None


_encode: Final = msgspec.json.Encoder().encode

STORED: Final = b'{"success":true}'
"""The answer when all was stored; SDKs compare it."""


def refusal(refused: Refused, rejected: list[Rejected] | None = None) -> bytes:
    """The body of an error."""
    return _encode(Answer(success=False, code=refused.code, message=refused.message, rejected=rejected))


def stored_but(rejected: list[Rejected]) -> bytes:
    """The body when some calls of a batch were stored, and these not."""
    return _encode(Answer(success=True, rejected=rejected))
