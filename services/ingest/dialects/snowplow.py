"""Snowplow's tracker protocol: `POST /com.snowplowanalytics.snowplow/tp2` and `GET /i`, each event made a call.

The parameters are those of Snowplow's page "Event parameters"; what has no place in a call stays in its context under
`snowplow`. What Snowplow's own shop events say is read by snowplow_shop.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from services.ingest import batches
from services.ingest.answers import ALL_STORED, Answer
from services.ingest.codes import Refused
from services.ingest.dialects import Asked, Dialect, Made, Shown, Translated, snowplow_shop, wire

Event = dict[str, Any]
Entities = list[tuple[str, Any]]
"""What is attached to an event: the name of each schema, and its data."""

LIBRARIES: Final = {
    "andr": "android", "golang": "go", "js": "javascript", "net": "dotnet", "py": "python", "rb": "ruby",
    "rn": "react-native",
}  # fmt: skip
"""What some of Snowplow's trackers call themselves in `tv`, before the version; the others write it out."""

VERSION_MAX: Final = 50
"""Characters of `tv`."""

GIVEN_UP: Final = frozenset({400, 401, 403, 410, 422})
"""The statuses after which its trackers do not send an event again; any other refusal would be sent for ever."""

SCHEMA_MAX: Final = 300
"""Characters of a schema's address that are looked at."""

ENTITIES_MAX: Final = 1_000
"""Entities of one event. An event that is stored holds far fewer."""

_OF_NETWORK: Final = frozenset({"ip", "nuid", "tnuid"})
"""Parameters that a sender may ask to be hidden."""

_SCHEMA: Final = re.compile(r"iglu:([\w.-]+)/([\w.-]+)/jsonschema/[\d*]+-[\d*]+-[\d*]+", re.ASCII)
_VERSION: Final = re.compile(r"([a-z]+(?:-[a-z]+)*)-(\d.*)", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_MOBILE: Final = frozenset({"com.snowplowanalytics.mobile", "com.snowplowanalytics.snowplow"})

_BAD_PAYLOAD: Final = Refused("bad_payload", "the body is an object with an array `data` of events")
_MANY_ENTITIES: Final = Refused("bad_event", f"an event has at most {ENTITIES_MAX} entities")

_PAGE: Final = {"url": "url", "page": "title", "refr": "referrer"}
_CONTEXT: Final = {"ua": "userAgent", "lang": "locale", "tz": "timezone"}
_OWN: Final[dict[str, dict[str, str]]] = {
    "pp": {**_PAGE, "pp_mix": "x_min", "pp_max": "x_max", "pp_miy": "y_min", "pp_may": "y_max"},
    "se": {"se_ca": "category", "se_ac": "action", "se_la": "label", "se_pr": "property", "se_va": "value"},
    "tr": {
        "tr_id": "order_id", "tr_tt": "total", "tr_tx": "tax", "tr_sh": "shipping", "tr_cu": "currency",
        "tr_af": "affiliation", "tr_ci": "city", "tr_st": "state", "tr_co": "country",
    },
    "ti": {
        "ti_id": "order_id", "ti_sk": "sku", "ti_nm": "name", "ti_ca": "category", "ti_pr": "price",
        "ti_qu": "quantity", "ti_cu": "currency",
    },
    "ue": {"ue_px": "", "ue_pr": ""},
}  # fmt: skip
"""The parameters of each type of event, and what they are called among the properties of a call."""

_NAMES: Final = {"pp": "page_ping", "tr": "Order Completed", "ti": "transaction_item"}
_NUMBERS: Final = frozenset({"quantity", "value", "x_min", "x_max", "y_min", "y_max"})
"""All values come as text; these are numbers. Sums of money may be text, and stay as exact as they came."""

_PLACED: Final = frozenset(
    {"e", "eid", "tv", "uid", "duid", "nuid", "tnuid", "ip", "dtm", "stm", "ttm", "res", "cx", "co", *_PAGE, *_CONTEXT}
)
"""Parameters that have a place in each call. What has none is kept under `snowplow` as it is."""


class _Payload(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]


class _NamedKey(msgspec.Struct, gc=False):
    aid: msgspec.Raw = msgspec.Raw(b"")


class _Described(msgspec.Struct, gc=False):
    """A self-describing JSON."""

    schema: str
    data: msgspec.Raw


class _Attached(msgspec.Struct, gc=False):
    data: list[_Described]


class _Said(NamedTuple):
    """What an event says, by its type: the type of call, its event or name, its properties."""

    kind: str
    name: object
    properties: object
    schema: str | None = None


_payload: Final = msgspec.json.Decoder(_Payload)
_named_key: Final = msgspec.json.Decoder(_NamedKey)
_described: Final = msgspec.json.Decoder(_Described)
_attached: Final = msgspec.json.Decoder(_Attached)


def translate_post(asked: Asked) -> Translated | Refused:
    """The calls of a payload."""
    events = wire.decoded_all(asked, _payload, _BAD_PAYLOAD, "data")
    if isinstance(events, Refused):
        return events
    key = None if asked.shown else _key(events)
    return Translated([_made(raw, asked) for raw in events], key)


def _made(raw: msgspec.Raw, asked: Asked) -> Made:
    """What is made of one event of several. What its sender asks to be hidden is not kept of a refused one either."""
    event = wire.event_of(bytes(raw), asked, wire.fields, wire.NO_OBJECT)
    if isinstance(event, Refused):
        return Made(event) if _hides(asked) else wire.made(event, raw)
    call = _call(_keyless(event, asked), hidden=_hides(asked))
    if not isinstance(call, Refused) or not _hides(asked):
        return wire.made(call, raw)
    told = wire.encoded({name: value for name, value in event.items() if name not in _OF_NETWORK})
    return Made(call, b"" if isinstance(told, Refused) else told)


def translate_get(asked: Asked, new_id: Callable[[], str]) -> Translated | Refused:
    """The call of a query. A picture in a mail has no id of its own, and each time that it is shown counts."""
    found = wire.query_of(asked.query)
    if isinstance(found, Refused):
        return found
    event: Event = {"eid": new_id(), **found}
    event.pop("writeKey", None)
    key = None if asked.shown else event.get("aid")
    return Translated([Made(_call(_keyless(event, asked), hidden=_hides(asked)))], key, alone=True)


def _hides(asked: Asked) -> bool:
    """Whether the sender asks that nothing be kept that tells one network from another."""
    return b"sp-anonymous" in asked.headers


def _key(events: list[msgspec.Raw]) -> object:
    """The `aid` of the events. All that name one must name the same: none is stored under the key of another."""
    named = set()
    for raw in events:
        with suppress(ValueError, RecursionError):
            named.add(bytes(_named_key.decode(raw).aid))
    named -= {b"", b'""', b"null"}
    return batches.text_of(msgspec.Raw(named.pop())) if len(named) == 1 else None


def _keyless(event: Event, asked: Asked) -> Event:
    """The event without its write key. Where a header or the query shows one `aid` names the app, or is that key."""
    if not asked.shown or event.get("aid") in asked.shown:
        event.pop("aid", None)
    return event


def _call(event: Event, *, hidden: bool) -> bytes | Refused:
    """An event as a call. `hidden`: its sender asks that nothing be kept that tells one network from another."""
    attached = _entities(event)
    if isinstance(attached, Refused):
        return attached
    said = _said(event, attached)
    if isinstance(said, Refused):
        return said
    shown = {} if hidden else event
    person = snowplow_shop.person(attached)
    session = snowplow_shop.first(attached, "client_session")
    known_as = event.get("duid") or session.get("userId") or shown.get("tnuid") or shown.get("nuid")
    exact = event.get("ttm")
    return wire.encoded(
        wire.filled(
            (
                ("type", said.kind),
                ("event" if said.kind == "track" else "name", said.name),
                ("messageId", event.get("eid")),
                ("userId", event.get("uid") or person.get("id")),
                ("anonymousId", known_as),
                ("timestamp", wire.instant_of(exact)),
                ("originalTimestamp", wire.instant_of(event.get("dtm"))),
                # A true timestamp is no clock's that could be wrong: nothing is corrected by when it was sent.
                ("sentAt", None if exact else wire.instant_of(event.get("stm"))),
                ("properties", said.properties),
                ("context", _context(event, said, attached, person, shown.get("ip"))),
            )
        )
    )


def _said(event: Event, attached: Entities) -> _Said | Refused:
    kind = event.get("e")
    if kind == "ue":
        return _described_event(event, attached)
    if kind == "pv":
        page = wire.renamed(event, _PAGE)
        return _Said("page", page.get("title"), {**page, **_parts(page)})
    action = event.get("se_ac") if kind == "se" else _NAMES.get(kind, kind) if isinstance(kind, str) else None
    told = wire.renamed(event, _own(kind))
    properties = {name: wire.number_of(value) if name in _NUMBERS else value for name, value in told.items()}
    return _Said("track", wire.known(action) or action, properties)


def _own(kind: object) -> dict[str, str]:
    return _OWN.get(kind, {}) if isinstance(kind, str) else {}


def _described_event(event: Event, attached: Entities) -> _Said | Refused:
    """A self-describing event: one of Snowplow's shop or app, of our vocabulary, or of the sender's own."""
    outer = _json(event, "ue_px", "ue_pr", _described)
    inner = outer if isinstance(outer, Refused) else wire.decoded(bytes(outer.data), _described, wire.BAD_EVENT)
    if isinstance(inner, Refused):
        return inner
    vendor, name = _named(inner.schema)
    if name == snowplow_shop.ACTION or (name == "screen_view" and vendor in _MOBILE):
        told = wire.decoded(bytes(inner.data), wire.fields, wire.BAD_EVENT)
        if isinstance(told, Refused):
            return told
        if name == "screen_view":
            return _Said("screen", told.get("name"), told, inner.schema)
        action, properties = snowplow_shop.said(told, attached)
        return _Said("track", action, properties, inner.schema)
    return _Said("track", wire.known(name) or name, inner.data, inner.schema)


def _entities(event: Event) -> Entities | Refused:
    """What is attached to an event."""
    if not event.get("cx") and not event.get("co"):
        return []
    whole = _json(event, "cx", "co", _attached)
    if isinstance(whole, Refused):
        return whole
    if len(whole.data) > ENTITIES_MAX:
        return _MANY_ENTITIES
    found = []
    for one in whole.data:
        data = wire.decoded(bytes(one.data), wire.anything, wire.BAD_EVENT)
        if isinstance(data, Refused):
            return data
        found.append((one.schema, data))
    return found


def _json(event: Event, coded: str, plain: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """What stands in one of two parameters, base64 or not."""
    given = event.get(coded)
    if given:
        raw = wire.unbase64(given)
        return raw if isinstance(raw, Refused) else wire.decoded(raw, decoder, wire.BAD_EVENT)
    told = event.get(plain)
    return wire.decoded(told.encode(), decoder, wire.BAD_EVENT) if isinstance(told, str) else wire.BAD_EVENT


def _named(schema: str) -> tuple[str, str]:
    """The vendor and the name in the address of a schema; all of it is the name where it is none."""
    found = _SCHEMA.fullmatch(schema) if len(schema) <= SCHEMA_MAX else None
    return (found[1], found[2]) if found is not None else ("", schema)


def _context(event: Event, said: _Said, attached: Entities, person: Event, address: object) -> Event:
    own = _own(event.get("e"))
    rest = wire.filled((name, value) for name, value in event.items() if name not in _PLACED and name not in own)
    if said.schema is not None:
        rest["schema"] = said.schema
    if attached:
        rest["entities"] = [{"schema": schema, "data": data} for schema, data in attached]
    page = wire.renamed(event, _PAGE)
    size = _SIZE.fullmatch(event["res"]) if isinstance(event.get("res"), str) else None
    return {
        "library": _library(event.get("tv")),
        **wire.renamed(event, _CONTEXT),
        **wire.filled(
            (
                ("ip", address),
                ("page", {**page, **_parts(page)} or None),
                ("screen", {"width": int(size[1]), "height": int(size[2])} if size else None),
                ("traits", wire.renamed(person, {"email": "email"}) or None),
                ("snowplow", rest or None),
            )
        ),
    }


def _library(version: object) -> Event:
    """The tracker by a name that says what kind of sender it is: `js-3.5.0` is version 3.5.0 of snowplow-javascript."""
    told = version if isinstance(version, str) and len(version) <= VERSION_MAX else ""
    found = _VERSION.fullmatch(told)
    if found is None:
        return wire.filled((("name", "snowplow"), ("version", told)))
    return {"name": f"snowplow-{LIBRARIES.get(found[1], found[1])}", "version": found[2]}


def _parts(page: Event) -> Event:
    """The path and the query of an address, as Segment tells them beside it."""
    address = page.get("url")
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
    except ValueError:
        return {}
    return wire.filled((("path", parts.path), ("search", f"?{parts.query}" if parts.query else None)))


def _status(answer: Answer) -> int:
    """A tracker sends again whatever is refused with a status that it does not know: it is given one that it does."""
    final = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    again = answer.status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    return HTTPStatus.BAD_REQUEST if final and not again and answer.status not in GIVEN_UP else answer.status


def show_post(answer: Answer, _asked: Asked) -> Shown:
    """`ok`, as Snowplow's collector answers; JSON where there is something to say."""
    if answer is ALL_STORED:
        return Shown(answer.status, b"ok", [(b"content-type", b"text/plain; charset=utf-8")])
    return Shown(_status(answer), answer.content, [(b"content-type", b"application/json")])


def show_get(answer: Answer, _asked: Asked) -> Shown:
    """A picture, as Snowplow's collector answers."""
    return wire.picture(answer, _status(answer))


TP2: Final = Dialect("snowplow", ("POST",), translate_post, show_post)
PIXEL: Final = Dialect("snowplow", ("GET",), partial(translate_get, new_id=lambda: str(uuid.uuid4())), show_get)
