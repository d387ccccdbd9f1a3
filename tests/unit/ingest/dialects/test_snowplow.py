"""Snowplow's protocol, by the examples of its documentation and by what its trackers send."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathline.domain.touchpoint import Touchpoint
from services.ingest.answers import ALL_STORED, refuse
from services.ingest.codes import CODES, Refused
from services.ingest.dialects import Translated, snowplow, wire
from tests.support.translating import asked, calls_of, deep, only, refused, taken, touchpoint, values

SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"
SHOP = "iglu:com.snowplowanalytics.snowplow.ecommerce"

PAGE_VIEW = {
    "e": "pv", "url": "https://shop.example/lamps?utm_source=mail", "page": "Lamps", "refr": "https://search.example/",
    "eid": "2ec13853-ef9e-414a-8976-e64a4693b134", "tv": "js-3.5.0", "tna": "biz1", "aid": "demo-web", "p": "web",
    "cookie": "1", "cs": "UTF-8", "lang": "en-GB", "res": "3440x1440", "cd": "30", "tz": "Europe/London",
    "dtm": "1780315190000", "vp": "693x1302", "ds": "678x8188", "vid": "29", "sid": "be9520e7",
    "duid": "85094061-f702-4b62-a46d-20f7226b4741", "stm": "1780315195000",
}  # fmt: skip
VIEWED = (
    "eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvd2FuYWx5dGljcy5zbm93cGxvdy91bnN0cnVjdF9ldmVudC9qc29uc2NoZW1hLzEtMC0wIiwiZGF0YSI6"
    "eyJzY2hlbWEiOiJpZ2x1OmNvbS5teV9jb21wYW55L3ZpZXdlZF9wcm9kdWN0L2pzb25zY2hlbWEvMS0wLTAiLCJkYXRhIjp7InByb2R1Y3RfaWQiOiJB"
    "U08wMTA0MyIsInByaWNlIjo0OS45NX19fQ=="
)
"""The `ue_px` of Snowplow's page of example requests."""


def payload(*events: Any) -> Any:
    return snowplow.translate_post(asked({"schema": SCHEMA, "data": list(events)}))


def coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def described(schema: str, data: Any) -> str:
    outer = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
    return coded({"schema": outer, "data": {"schema": schema, "data": data}})


def entities(*pairs: tuple[str, Any]) -> str:
    return coded({"schema": CONTEXTS, "data": [{"schema": schema, "data": data} for schema, data in pairs]})


def shop(action: str, *pairs: tuple[str, Any]) -> Touchpoint:
    event = {
        "e": "ue", "uid": "ann", "eid": "1", "ue_px": described(f"{SHOP}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": action}),
        "cx": entities(*((f"{SHOP}/{name}/jsonschema/1-0-0", data) for name, data in pairs)),
    }  # fmt: skip
    return touchpoint(payload(event))


def test_a_page_view_becomes_a_page_call() -> None:
    translated = payload(PAGE_VIEW)
    assert translated.key == "demo-web"
    call = only(translated)
    page = {
        "url": "https://shop.example/lamps?utm_source=mail",
        "title": "Lamps",
        "referrer": "https://search.example/",
        "path": "/lamps",
        "search": "?utm_source=mail",
    }
    assert call == {
        "type": "page",
        "name": "Lamps",
        "messageId": "2ec13853-ef9e-414a-8976-e64a4693b134",
        "anonymousId": "85094061-f702-4b62-a46d-20f7226b4741",
        "originalTimestamp": "2026-06-01T11:59:50+00:00",
        "sentAt": "2026-06-01T11:59:55+00:00",
        "properties": page,
        "context": {
            "library": {"name": "snowplow-javascript", "version": "3.5.0"},
            "locale": "en-GB",
            "timezone": "Europe/London",
            "page": page,
            "screen": {"width": 3440, "height": 1440},
            "snowplow": {
                "tna": "biz1", "p": "web", "cookie": "1", "cs": "UTF-8", "cd": "30", "vp": "693x1302",
                "ds": "678x8188", "vid": "29", "sid": "be9520e7",
            },
        },
    }  # fmt: skip


def test_the_clock_is_corrected_by_when_it_was_sent_but_for_a_true_timestamp() -> None:
    late = {**PAGE_VIEW, "dtm": "1780000000000", "stm": "1780000060000"}
    assert touchpoint(payload(late), trusted=False).occurred_at.isoformat() == "2026-06-01T11:59:00+00:00"
    exact = {**late, "ttm": "1780228800000"}
    assert touchpoint(payload(exact), trusted=False).occurred_at.isoformat() == "2026-05-31T12:00:00+00:00"


@pytest.mark.parametrize(
    ("version", "name", "channel"),
    [
        ("js-4.10.1", "snowplow-javascript", "web"),
        ("py-1.1.0", "snowplow-python", "server"),
        ("golang-3.0.0", "snowplow-go", "server"),
        ("net-1.3.0", "snowplow-dotnet", "server"),
        ("node-js-4.10.2", "snowplow-node-js", "server"),
        ("andr-6.0.0", "snowplow-android", "app"),
        ("ios-6.0.0", "snowplow-ios", "app"),
        ("rn-4.0.0", "snowplow-react-native", "app"),
        ("no-js-0.1.0", "snowplow-no-js", "server"),
        ("", "snowplow", "server"),
        ("x" * 60 + "-1", "snowplow", "server"),
    ],
)
def test_the_kind_of_sender_is_known_by_its_tracker(version: str, name: str, channel: str) -> None:
    translated = payload({**PAGE_VIEW, "tv": version})
    assert only(translated)["context"]["library"]["name"] == name
    assert touchpoint(translated).channel == channel


def test_a_self_describing_event_is_named_by_its_schema() -> None:
    found = touchpoint(payload({**PAGE_VIEW, "e": "ue", "ue_px": VIEWED}))
    assert (found.type, found.event) == ("track", "viewed_product")
    assert found.properties == {"product_id": "ASO01043", "price": 49.95}
    plain = base64.b64decode(VIEWED).decode()
    assert touchpoint(payload({**PAGE_VIEW, "e": "ue", "ue_pr": plain})) == found


@pytest.mark.parametrize("name", ["order_completed", "OrderCompleted", "order-completed"])
def test_a_schema_that_means_an_event_of_the_vocabulary_is_that_event(name: str) -> None:
    event = {
        "e": "ue",
        "uid": "ann",
        "ue_px": described(f"iglu:com.shop/{name}/jsonschema/2-1-0", {"order_id": "1001", "total": "9.90"}),
    }
    found = touchpoint(payload(event))
    assert (found.event, found.makes) == ("Order Completed", "order")
    assert found.properties["total"] == "9.90"


def test_a_report_of_the_vocabulary_needs_a_server_key() -> None:
    data = {"tracking_number": "T1", "status": "delivered"}
    event = {"e": "ue", "ue_px": described("iglu:com.shop/shipment_scanned/jsonschema/1-0-0", data)}
    assert touchpoint(payload(event)).report
    assert taken(payload(event), trusted=False) == ["needs_server_key"]


def test_entities_are_kept_and_the_shop_s_customer_is_known() -> None:
    event = {
        **PAGE_VIEW,
        "cx": entities(
            ("iglu:com.my_company/user/jsonschema/1-0-0", {"my_company_user_id": "9999xyz"}),
            (f"{SHOP}/user/jsonschema/1-0-0", {"id": "U1", "email": "Ann@Example.com", "is_guest": False}),
        ),
    }
    call = only(payload(event))
    assert call["userId"] == "U1"
    assert call["context"]["traits"] == {"email": "Ann@Example.com"}
    assert call["context"]["snowplow"]["entities"][0] == {
        "schema": "iglu:com.my_company/user/jsonschema/1-0-0",
        "data": {"my_company_user_id": "9999xyz"},
    }
    guest = {
        **event,
        "cx": entities((f"{SHOP}/user/jsonschema/1-0-0", {"id": "U1", "email": "a@b.de", "is_guest": True})),
    }
    assert "userId" not in only(payload(guest))
    assert [one.kind for one in touchpoint(payload(guest)).people] == ["email", "anonymous_id"]


def test_an_app_s_installation_is_known_by_its_session() -> None:
    session = (
        "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
        {"userId": "device-7", "sessionId": "s"},
    )
    name = "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0"
    event = {
        "e": "ue",
        "tv": "ios-6.0.0",
        "ue_px": described(name, {"name": "Basket", "id": "x"}),
        "cx": entities(session),
    }
    found = touchpoint(payload(event))
    assert (found.type, found.event, found.channel) == ("screen", "Basket", "app")
    assert [one.value for one in found.people] == ["device-7"]


def test_structured_events_carry_their_five_fields() -> None:
    event = {
        "e": "se",
        "uid": "ann",
        "se_ca": "Media",
        "se_ac": "play-video",
        "se_la": "dog",
        "se_pr": "hd",
        "se_va": "13.99",
    }
    found = touchpoint(payload(event))
    assert found.event == "play-video"
    assert found.properties == {
        "category": "Media",
        "action": "play-video",
        "label": "dog",
        "property": "hd",
        "value": 13.99,
    }
    assert touchpoint(payload({**event, "se_ac": "coupon_denied"})).event == "Coupon Denied"
    assert taken(payload({"e": "se", "uid": "ann"})) == ["missing_event"]


def test_transactions_are_orders_and_their_items_name_the_order() -> None:
    order = {
        "e": "tr",
        "uid": "ann",
        "tr_id": "1001",
        "tr_tt": "9.90",
        "tr_sh": "3.00",
        "tr_cu": "GBP",
        "tr_ci": "London",
    }
    item = {"e": "ti", "uid": "ann", "ti_id": "1001", "ti_sk": "pbz0025", "ti_pr": "7.99", "ti_qu": "2", "ti_cu": "GBP"}
    placed, part = taken(payload(order, item))
    assert isinstance(placed, Touchpoint) and isinstance(part, Touchpoint)
    assert placed.event == "Order Completed" and placed.makes == "order"
    assert placed.properties == {
        "order_id": "1001",
        "total": "9.90",
        "shipping": "3.00",
        "currency": "GBP",
        "city": "London",
    }
    assert part.event == "transaction_item" and part.things == placed.things
    assert part.properties["quantity"] == 2


def test_page_pings_and_unknown_events_are_kept_as_tracks() -> None:
    ping = {**PAGE_VIEW, "e": "pp", "pp_mix": "0", "pp_max": "100", "pp_miy": "0", "pp_may": "-5", "cx": ""}
    found = touchpoint(payload(ping))
    assert found.event == "page_ping"
    assert (found.properties["x_max"], found.properties["y_min"], found.properties["y_max"]) == (100, 0, -5)
    call = only(payload({**PAGE_VIEW, "e": "ad", "ad_id": "7"}))
    assert (call["type"], call["event"], call["context"]["snowplow"]["ad_id"]) == ("track", "ad", "7")


def test_what_the_shop_plugin_says_becomes_the_vocabulary() -> None:
    product = {"id": "LAM-01", "name": "Lamp", "price": 14.9, "currency": "EUR", "quantity": 2, "category": "Lamps"}
    added = shop(
        "add_to_cart", ("product", product), ("cart", {"cart_id": "c", "total_value": 29.8, "currency": "EUR"})
    )
    assert added.event == "Product Added"
    assert (added.properties["product_id"], added.properties["quantity"], added.properties["value"]) == (
        "LAM-01",
        2,
        29.8,
    )
    bought = shop(
        "transaction",
        (
            "transaction",
            {
                "transaction_id": "1001",
                "revenue": 29.8,
                "currency": "EUR",
                "payment_method": "card",
                "total_quantity": 2,
            },
        ),
        ("product", product),
        ("product", {**product, "id": "LAM-02"}),
    )
    assert bought.event == "Order Completed" and bought.makes == "order"
    assert (bought.properties["order_id"], bought.properties["total"]) == ("1001", 29.8)
    assert [one["product_id"] for one in bought.properties["products"]] == ["LAM-01", "LAM-02"]
    back = shop(
        "refund",
        ("refund", {"transaction_id": "1001", "currency": "EUR", "refund_amount": 14.9, "refund_reason": "broken"}),
    )
    assert (back.event, back.report, back.properties["total"]) == ("Order Refunded", True, 14.9)
    failed = shop("trns_error", ("transaction_error", {"error_code": "E522", "error_shortcode": "card_declined"}))
    assert (failed.event, failed.properties["decline_code"]) == ("trns_error", "card_declined")


def test_an_address_is_left_out_where_the_tracker_asks_for_it() -> None:
    event = {**PAGE_VIEW, "duid": "", "tnuid": "network", "ip": "192.0.2.7", "uid": "ann"}
    call = only(payload(event))
    assert (call["anonymousId"], call["context"]["ip"]) == ("network", "192.0.2.7")
    request = asked({"data": [event]}, headers={b"sp-anonymous": b"*"})
    call = only(snowplow.translate_post(request))
    assert "anonymousId" not in call and "192.0.2.7" not in json.dumps(call) and "network" not in json.dumps(call)


def test_a_query_is_an_event_and_one_without_an_id_gets_one() -> None:
    event = {**PAGE_VIEW, "page": "Lámpás 灯", "ue_px": VIEWED, "e": "ue"}
    got = snowplow.translate_get(asked(method="GET", query=urlencode(event)), new_id=lambda: "new")
    assert isinstance(got, Translated) and got.key == "demo-web"
    assert got == payload(event)._replace(alone=True)
    got = snowplow.translate_get(asked(method="GET", query="e=pv&uid=ann&page=Mail&writeKey=k"), new_id=lambda: "new")
    assert only(got) == {
        "type": "page", "name": "Mail", "messageId": "new", "userId": "ann", "properties": {"title": "Mail"},
        "context": {"library": {"name": "snowplow"}, "page": {"title": "Mail"}},
    }  # fmt: skip


def test_the_key_is_not_kept_but_a_name_of_the_app_is() -> None:
    assert "demo-web" not in json.dumps(only(payload(PAGE_VIEW)))
    query = urlencode({**PAGE_VIEW, "writeKey": "k"})
    for shown, kept in ((("k",), True), (("new", "demo-web"), False)):
        posted = snowplow.translate_post(asked({"data": [PAGE_VIEW]}, shown=shown))
        got = snowplow.translate_get(asked(method="GET", query=query, shown=shown), new_id=lambda: "new")
        for translated in (posted, got):
            assert isinstance(translated, Translated) and translated.key is None
            assert only(translated)["context"]["snowplow"].get("aid") == ("demo-web" if kept else None)
            assert ("demo-web" in json.dumps(only(translated))) is kept


def test_what_is_to_be_hidden_is_not_kept_of_a_refused_event_either() -> None:
    bad = {"e": "ue", "ue_px": "%", "ip": "192.0.2.7", "nuid": "one", "tnuid": "other", "uid": "ann"}
    for event, kept in ((bad, {"e": "ue", "ue_px": "%", "uid": "ann"}), ("192.0.2.7", None)):
        translated = snowplow.translate_post(asked({"data": [event]}, headers={b"sp-anonymous": b"*"}))
        assert isinstance(translated, Translated)
        ((call, sent),) = translated.calls
        assert isinstance(call, Refused) and (json.loads(sent) if sent else None) == kept


def test_no_event_is_stored_under_the_key_of_another() -> None:
    for other in ("other", 5, ["demo-web"]):
        assert payload(PAGE_VIEW, {**PAGE_VIEW, "aid": other}).key is None
    assert payload({**PAGE_VIEW, "aid": 5}).key is None
    assert payload(PAGE_VIEW, {**PAGE_VIEW, "aid": None}, "no event").key == "demo-web"
    assert payload(PAGE_VIEW, {"e": "pv"}, PAGE_VIEW).key == "demo-web"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"e": "ue"}, "bad_event"),
        ({"e": "ue", "ue_px": "%%%"}, "bad_base64"),
        ({"e": "ue", "ue_px": 5}, "bad_base64"),
        ({"e": "ue", "ue_pr": "{"}, "invalid_json"),
        ({"e": "pv", "co": '{"data":[{"schema":"x","data":' + "[" * 2_000}, "too_deep"),
        ({"e": "ue", "ue_pr": '{"schema":"x","data":{"data":1}}'}, "bad_event"),
        ({"e": "pv", "cx": coded({"data": 5})}, "bad_event"),
        ({"e": "pv", "co": "[]"}, "bad_event"),
        ({"e": "pv", "cx": entities(*[("x", 1)] * 1_001)}, "bad_event"),
        ("no object", "not_an_object"),
    ],
)
def test_what_cannot_be_read_is_refused_alone(event: Any, code: str) -> None:
    translated = payload(event, PAGE_VIEW)
    assert refused(translated) == [code, None]
    assert [json.loads(sent) for _, sent in translated.calls if sent] == [event]
    assert translated.key == "demo-web"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "bad_payload"),
        (b"{}", "bad_payload"),
        (b'{"data":{}}', "bad_payload"),
        (b'{"data":["\xff"]', "invalid_utf8"),
        (b'{"data":[' + b"{}," * 10_000 + b"{}]}", "too_many_calls"),
    ],
)
def test_a_body_that_is_no_payload_is_refused(body: bytes, code: str) -> None:
    translated = snowplow.translate_post(asked(body))
    assert isinstance(translated, Refused) and translated.code == code


def test_half_a_character_spoils_one_event_only() -> None:
    raw = b'{"data":[{"e":"pv","uid":"ann","page":"\\ud800"},{"e":"pv","uid":"ann","page":"ok"}]}'
    bad, good = taken(snowplow.translate_post(asked(raw)))
    assert bad == "bad_character" and isinstance(good, Touchpoint)


@pytest.mark.parametrize("query", ["e=%FF", "a=%ED%A0%80", "&".join(f"a{n}=1" for n in range(501))])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    translated = snowplow.translate_get(asked(method="GET", query=query), new_id=lambda: "new")
    assert isinstance(translated, Refused) and translated.code in {"invalid_utf8", "bad_query"}


def test_answers_are_those_that_trackers_give_up_after_or_try_again() -> None:
    assert snowplow.show_post(ALL_STORED, asked()).content == b"ok"
    for code in CODES:
        answer = refuse(Refused(code, ""))
        shown, picture = snowplow.show_post(answer, asked()), snowplow.show_get(answer, asked())
        assert shown.status == picture.status
        again = answer.status in {408, 429} or answer.status >= 500
        assert shown.status == answer.status if again else shown.status in snowplow.GIVEN_UP
        assert json.loads(shown.content)["code"] == code
        assert picture.content == wire.GIF
        assert (b"x-pathline-code", code.encode()) in picture.headers


names = st.sampled_from(
    ["e", "eid", "uid", "duid", "tnuid", "aid", "dtm", "stm", "ttm", "tv", "url", "page", "refr", "res", "ip", "cx", "co", "ue_px",
     "ue_pr", "se_ac", "se_va", "tr_id", "tr_tt", "ti_qu", "pp_max", "lang"]
)  # fmt: skip
kinds = st.sampled_from(["pv", "pp", "se", "tr", "ti", "ue", "ad", "order_completed"])
schemas = st.sampled_from(
    ["iglu:com.shop/order_completed/jsonschema/1-0-0", f"{SHOP}/snowplow_ecommerce_action/jsonschema/1-0-2", f"{SHOP}/product/x",
     f"{SHOP}/user/jsonschema/1-0-0", "iglu:com.snowplowanalytics.snowplow/client_session/x", "", "x" * 400,
     "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0"]
)  # fmt: skip
told = values | st.fixed_dictionaries(
    {"type": values, "id": values, "email": values, "is_guest": values, "userId": values}
)
inner = st.builds(described, schemas, told) | st.builds(entities, st.tuples(schemas, told))
events = st.dictionaries(names, values | kinds | inner | deep, max_size=8) | values


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=3))
def test_any_payload_is_translated_or_refused(sent: list[Any]) -> None:
    raw = json.dumps({"data": sent}).encode()
    translated = snowplow.translate_post(asked(raw))
    assert len(taken(translated)) == (len(sent) if isinstance(translated, Translated) else 1)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.dictionaries(names, st.text(max_size=20) | kinds | inner, max_size=6))
def test_any_bytes_are_translated_or_refused(raw: bytes, fields: dict[str, str]) -> None:
    for translated in (
        snowplow.translate_post(asked(raw)),
        snowplow.translate_post(asked(b'{"data":[' + raw + b"]}")),
        snowplow.translate_get(asked(query="")._replace(query=raw), new_id=lambda: "new"),
        snowplow.translate_get(asked(query=urlencode(fields)), new_id=lambda: "new"),
    ):
        taken(translated)


def test_a_full_payload_is_translated_into_as_many_calls() -> None:
    assert len(calls_of(payload(*[{**PAGE_VIEW, "eid": str(n)} for n in range(2_500)]))) == 2_500
