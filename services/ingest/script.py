"""`GET /pathline.js`: our browser script, from memory."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.codes import Refused, refusal

FILE: Final = Path(__file__).with_name("pathline.js")
KEPT_SECONDS: Final = 3_600
"""How long a browser uses the script without asking again."""

_HEADERS: Final = {
    "cache-control": f"public, max-age={KEPT_SECONDS}",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "vary": "accept-encoding",
}
_NONE: Final = Refused("not_found", "this collector has no script")


class Script:
    """The script as it is sent: compressed once, when first asked for."""

    def __init__(self, file: Path = FILE) -> None:
        """Serve `file`."""
        self._file = file
        self._plain = b""
        self._gzip = b""
        self._tag = ""

    def _load(self) -> bool:
        if not self._plain:
            try:
                self._plain = self._file.read_bytes()
            except FileNotFoundError:
                return False
            self._gzip = gzip.compress(self._plain, mtime=0)
            self._tag = blake2b(self._plain, digest_size=12).hexdigest()
        return True

    async def get(self, request: Request) -> Response:
        """Answer with the script, or with 304 to one who has it."""
        if not self._load():
            return Response(refusal(_NONE), _NONE.status, media_type="application/json")
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'"{self._tag}{"-gzip" if zipped else ""}"'
        headers = {**_HEADERS, "etag": tag}
        if tag in (given.strip() for given in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["content-encoding"] = "gzip"
        return Response(self._gzip if zipped else self._plain, headers=headers, media_type="text/javascript")
