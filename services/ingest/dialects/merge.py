"""RudderStack's `POST /v1/merge`: two names of one person, as an alias or an identify of ours."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pathline.domain.identifiers import usable
from services.ingest.codes import Refused
from services.ingest.dialects import Asked, Dialect, Translated, wire

_KINDS: Final = {
    "userid": "userId",
    "anonymousid": "anonymousId",
    "email": "email",
    "mobile": "phone",
    "phone": "phone",
}
"""The types of identifiers, without case and underscores, and what they are here."""

_BAD: Final = Refused("bad_merge", "a merge names two identifiers of types user_id, anonymous_id, email or phone")
_ALIKE: Final = Refused("bad_merge", "two identifiers that are merged are of different types, or both of type user_id")


class _Merged(msgspec.Struct, gc=False):
    type: str
    value: Any


class _Asked(msgspec.Struct, gc=False):
    merge: list[_Merged] = msgspec.field(name="mergeProperties")
    user_id: Any = msgspec.field(name="userId", default=None)
    key: Any = msgspec.field(name="writeKey", default=None)


_asked: Final = msgspec.json.Decoder(_Asked)


def translate(asked: Asked) -> Translated | Refused:
    """The call that a merge is; what else it says goes with it."""
    said = wire.event_of(asked.raw, asked, _asked, _BAD)
    fields = said if isinstance(said, Refused) else wire.decoded(asked.raw, wire.raw_fields, _BAD)
    if isinstance(fields, Refused):
        return fields
    told = [(_KINDS.get(one.type.replace("_", "").lower()), one.value) for one in said.merge]
    if len(told) != 2 or any(kind is None or usable(value) is None for kind, value in told):  # noqa: PLR2004 - a pair
        return _BAD
    merged = _merged([(str(kind), value) for kind, value in told], said.user_id)
    if isinstance(merged, Refused):
        return merged
    # Who sends an alias is none of the two that it is about.
    dropped = {"mergeProperties", "writeKey", *(("userId", "anonymousId") if merged["type"] == "alias" else ())}
    call = wire.encoded({**{name: raw for name, raw in fields.items() if name not in dropped}, **merged})
    return wire.alone(call, said.key)


def _merged(told: list[tuple[str, Any]], own: object) -> dict[str, Any] | Refused:
    """What a pair says. `own` is the user id of the whole."""
    values = dict(told)
    if set(values) == {"userId"}:
        first, second = (value for _, value in told)
        kept, gone = (second, first) if own == second else (first, second)
        return {"type": "alias", "userId": kept, "previousId": gone}
    if set(values) == {"userId", "anonymousId"}:
        return {"type": "alias", "userId": values["userId"], "previousId": values["anonymousId"]}
    if len(values) != len(told):
        return _ALIKE
    traits = {kind: value for kind, value in told if kind in {"email", "phone"}}
    names = {kind: value for kind, value in told if kind not in traits}
    return {"type": "identify", **names, "traits": traits}


MERGE: Final = Dialect("merge", ("POST",), translate)
