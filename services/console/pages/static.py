"""Our static files, kept by browsers for as long as their address names their content."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.console.pages.render import STATIC, VERSION

FOREVER: Final = "public, max-age=31536000, immutable"


class VersionedFiles(StaticFiles):
    """Static files; one asked for by its version never changes."""

    def __init__(self) -> None:
        """Serve the folder `static`."""
        super().__init__(directory=STATIC)

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        """The file, with how long it may be kept."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        versioned = VERSION in parse_qs(scope.get("query_string", b"").decode("ascii", "replace"))
        response.headers["cache-control"] = FOREVER if versioned else "no-cache"
        return response
