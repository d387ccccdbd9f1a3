"""Errors at the edge: one exception, one shape of answer, stable codes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from pathline.contracts.api import Error

STATUS: Final[dict[str, HTTPStatus]] = {
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "customer_not_found": HTTPStatus.NOT_FOUND,
    "alert_not_found": HTTPStatus.NOT_FOUND,
    "account_not_found": HTTPStatus.NOT_FOUND,
    "detector_not_found": HTTPStatus.NOT_FOUND,
    "identifier_not_found": HTTPStatus.NOT_FOUND,
    "act_not_found": HTTPStatus.NOT_FOUND,
    "nothing_to_split": HTTPStatus.CONFLICT,
    "parent_not_stronger": HTTPStatus.CONFLICT,
    "merge_needs_stronger": HTTPStatus.CONFLICT,
    "other_namespace": HTTPStatus.CONFLICT,
    "join_too_large": HTTPStatus.CONFLICT,
    "not_in_force": HTTPStatus.CONFLICT,
    "alert_resolved": HTTPStatus.CONFLICT,
    "alert_held": HTTPStatus.CONFLICT,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_streams": HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each code; the others are 400."""

RETRY_AFTER_SECONDS: Final = 2


class ApiError(Exception):
    """A request that gets an error for an answer, with a code of contracts.api.CODES."""

    def __init__(self, code: str, message: str, *, state: str | None = None, holder: str | None = None) -> None:
        """Give the `code`; `state` and `holder` of an alert that can't take a move."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.state = state
        self.holder = holder

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS.get(self.code, HTTPStatus.BAD_REQUEST)

    def response(self) -> Response:
        """The answer of the API."""
        body = Error(self.code, self.message)
        if self.state is not None:
            body.state, body.holder = self.state, self.holder
        headers = {}
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return Response(msgspec.json.encode(body), self.status, headers, "application/json")
