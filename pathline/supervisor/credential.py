"""The token of the console's API, which `pathline up` makes."""

import secrets
from contextlib import suppress
from pathlib import Path

from pathline.kit.files import write_whole

CREDENTIAL_FILE = "api-token"


def api_token(home: Path) -> str:
    """The token of the console's API, made at the first start: one bare line, for this user's eyes only."""
    path = home / CREDENTIAL_FILE
    with suppress(FileNotFoundError):
        path.chmod(0o600)
        token = path.read_text(encoding="utf-8").strip()
        if token:
            return token
    token = secrets.token_urlsafe(32)
    write_whole(path, token + "\n")
    return token
