"""Ids of the shop's visitors: nobody can guess one, and the shop knows those that it made."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

CHARACTERS: Final = 24
"""Hexadecimal digits of each half: 96 bits."""


def new(secret: str) -> str:
    """An id for somebody new, made with the shop's `secret`."""
    chance = secrets.token_hex(CHARACTERS // 2)
    return f"{chance}-{_seal(chance, secret)}"


def is_ours(anonymous_id: str, secret: str) -> bool:
    """Whether that id was made with this secret."""
    chance, _, seal = anonymous_id.partition("-")
    return hmac.compare_digest(seal.encode(), _seal(chance, secret).encode())


def _seal(chance: str, secret: str) -> str:
    return hmac.digest(secret.encode(), b"visitor of the demo shop: " + chance.encode(), "sha256").hex()[:CHARACTERS]
