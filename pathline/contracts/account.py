"""The answer of the console's API about an account. Its names are a promise; fields may be added."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec


class AccountMember(msgspec.Struct):
    """A customer who belongs to an account, by the strongest name they go by.

    `since` is the earliest touchpoint that said so; `said_by` is `browser` where no server has said so.
    """

    customer_id: str
    kind: str
    value: str
    name: str | None
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    said_by: Literal["server", "browser"]


class Account(msgspec.Struct):
    """A business with its people: those that a server told of first, of these who came last. They are never joined."""

    account: str
    members: list[AccountMember]
    truncated: bool
