"""The console's sign-in link: proof of knowing the API token, good for a while, without carrying the token itself."""

import base64
import hashlib
import hmac

SIGN_IN_SECONDS = 43_200
"""How long a link is good: a working day, since `up` prints it once. `pathline sign-in` prints a new one."""
SIGN_IN_PATH = "/sign-in"
EXPIRY_DIGITS_MAX = 12


def make_ticket(api_token: str, *, now_seconds: float, good_seconds: int = SIGN_IN_SECONDS) -> str:
    """`<expiry>.<signature>`; `now_seconds` is Unix time."""
    expiry = str(int(now_seconds) + good_seconds)
    return f"{expiry}.{_sign(api_token, expiry)}"


def is_good(api_token: str, ticket: str, *, now_seconds: float) -> bool:
    """Whether `ticket` was made with `api_token` and has not expired."""
    expiry, _dot, signature = ticket.partition(".")
    if not expiry.isascii() or not expiry.isdigit() or len(expiry) > EXPIRY_DIGITS_MAX:
        return False
    expected = _sign(api_token, expiry)
    return hmac.compare_digest(signature.encode("utf-8"), expected.encode()) and now_seconds < int(expiry)


def link(console: str, api_token: str, *, now_seconds: float) -> str:
    """The link to open: `http://host:port/sign-in?ticket=...`; `console` is host:port."""
    return f"http://{console}{SIGN_IN_PATH}?ticket={make_ticket(api_token, now_seconds=now_seconds)}"


def _sign(api_token: str, expiry: str) -> str:
    digest = hmac.new(api_token.encode(), b"pathline sign-in " + expiry.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
