"""Who is asking: the API token, or a session that the sign-in link opened.

A session is a signed cookie: who, until when, and a nonce from which the CSRF token follows. Nothing is
stored, so every console process knows it; another API token ends them all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from pathline.domain.alerts import MAX_NAME

DEFAULT_NAME: Final = "support"
API_NAME: Final = "api"
"""Who acts where a program with the token does not say for whom."""

_NONCE_BYTES: Final = 16


class Session(msgspec.Struct, frozen=True, array_like=True):
    """A person who signed in. `until` is Unix time."""

    name: str
    until: int
    nonce: str


class Sessions:
    """Opens and checks sessions under one API token."""

    def __init__(self, api_token: str, *, seconds: int, https: bool) -> None:
        """Sessions last `seconds`; with `https` the cookie demands it."""
        self._key = hmac.new(api_token.encode(), b"pathline session", hashlib.sha256).digest()
        self._bearer = api_token.encode()
        self.seconds = seconds
        self.https = https

    @property
    def cookie(self) -> str:
        """The cookie's name. The prefix makes browsers hold it to this host and https; without https they refuse it."""
        return "__Host-pathline" if self.https else "pathline"

    def is_token(self, given: str) -> bool:
        """Whether this is the API token."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._bearer)

    def open(self, name: str, now_seconds: float) -> Session:
        """A new session; `now_seconds` is Unix time."""
        return Session(clean_name(name), int(now_seconds) + self.seconds, secrets.token_urlsafe(_NONCE_BYTES))

    def rename(self, session: Session, name: str) -> Session:
        """The same session under another name."""
        return msgspec.structs.replace(session, name=clean_name(name))

    def seal(self, session: Session) -> str:
        """The cookie's value."""
        body = _base64(msgspec.json.encode(session))
        return f"{body}.{self._sign(b'cookie', body)}"

    def read(self, value: str, now_seconds: float) -> Session | None:
        """The session of a cookie, or None for one that we did not make or that is over."""
        body, _dot, signature = value.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(b"cookie", body).encode()):
            return None
        session = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Session)
        return session if now_seconds < session.until else None

    def csrf(self, session: Session) -> str:
        """What every form of this session carries."""
        return self._sign(b"csrf", session.nonce)

    def is_csrf(self, session: Session, given: str) -> bool:
        """Whether a form is one of ours."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf(session).encode())

    def _sign(self, purpose: bytes, text: str) -> str:
        message = purpose + b"\0" + text.encode("utf-8", "replace")
        return _base64(hmac.new(self._key, message, hashlib.sha256).digest())


def one_line(text: str) -> str:
    """The text on one line: what can't be printed, and every run of blanks, is a blank."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clean_name(name: str) -> str:
    """A person's name as it is shown and written down: one line, not empty, at most MAX_NAME characters."""
    return one_line(name)[:MAX_NAME] or DEFAULT_NAME


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
