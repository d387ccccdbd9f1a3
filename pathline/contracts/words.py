"""What the API takes and answers about an operator's word on who is whom. Part of contracts.api."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339 with a zone."""

Why = Literal["touchpoint", "operator", "till", "nobody"]
"""Who says what an identifier's parent is; `till`: what touchpoints say is void, as it has too many mailboxes."""


class NameOut(msgspec.Struct):
    """An identifier. `id` answers as a customer's id does."""

    id: str
    kind: str
    value: str


class ProposalOut(msgspec.Struct):
    """What a touchpoint says: that an identifier belongs to this parent, or that two user_ids are one."""

    parent: NameOut
    source: str
    message_id: str
    occurred_at: Time
    trusted: bool
    """Whether a server said so, and not a browser."""


class LinkOut(msgspec.Struct):
    """An identifier of a customer, and why it is theirs. `parent` is null where it belongs to none."""

    identifier: NameOut
    parent: NameOut | None
    why: Why
    inferred: ProposalOut | None
    """What touchpoints say, whatever an operator says: it holds when that is taken back."""
    runner_up: ProposalOut | None
    """What would hold if that one were erased."""
    act: int | None
    """The operator's act that holds in its place."""


class JoinOut(msgspec.Struct):
    """Two user_ids that an alias (`alias`), an operator (`act`) or both say are one person."""

    a: NameOut
    b: NameOut
    holds: bool
    alias: ProposalOut | None
    act: int | None


class ActOut(msgspec.Struct):
    """What an operator did. Acts are kept for ever and never changed."""

    id: int
    at: Time
    kind: str
    """`split`, `merge` or `take_back`."""
    actor: str
    origin: str
    """`api`, `console` or `command`."""
    reason: str
    subject: NameOut
    other: NameOut | None
    """What the subject was given to, or united with."""
    left: str
    """Id of the customer that the subject was."""
    joined: str
    """Id of the customer that it became."""
    takes_back: int | None
    inferred: ProposalOut | None
    """What touchpoints said of the subject at that time."""
    in_force: bool
    """Whether its word holds: it was not taken back, and no later one took its place."""


class KinHistory(msgspec.Struct):
    """Who is whom and why, and what operators did about it, the newest first; `next` is null on the last page."""

    customer_id: str
    links: list[LinkOut]
    joins: list[JoinOut]
    acts: list[ActOut]
    next: str | None
    truncated: bool
    """Whether the customer has more identifiers than are read at a time."""


class WordOut(msgspec.Struct):
    """What became of a word. `changed` is false, and `act` null, where all was so already."""

    changed: bool
    customer_id: str
    """The customer that the id in the address is now."""
    other_id: str
    """The customer that the identifier or customer named in the body, or the act's subject, is now."""
    act: ActOut | None


class NameIn(msgspec.Struct):
    """An identifier by kind and value, as the touchpoints had it."""

    kind: str
    value: str


class SplitBody(msgspec.Struct):
    """Which identifier leaves this customer, why, and whose it is instead; without `to` it is one by itself."""

    identifier: NameIn
    reason: str
    to: NameIn | None = None


class MergeBody(msgspec.Struct):
    """The other customer, by any id that answers with it, and why."""

    customer_id: str
    reason: str


class TakeBackBody(msgspec.Struct):
    """Which act is taken back, and why."""

    act: int
    reason: str
