"""Signatures: those that providers publish are taken, and nothing else is, whatever a stranger sends."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from services.ingest.providers import PROVIDERS, Delivery
from tests.support.webhooks import NOW, OTHER, SECRET, SIGN, STANDARD_SECRET, signed

TOLERANCE = 300.0
NAMES = sorted(PROVIDERS)
TIMED = ("shippo", "standard", "stripe")
HEADER = {
    "shopify": b"x-shopify-hmac-sha256",
    "stripe": b"stripe-signature",
    "aftership": b"aftership-hmac-sha256",
    "easypost": b"x-hmac-signature",
    "shippo": b"shippo-auth-signature",
    "woocommerce": b"x-wc-webhook-signature",
    "standard": b"webhook-signature",
}
BODY = b'{"id": 1, "n\xc3\xa4me": "x"}'


def verdict(provider: str, delivery: Delivery, *secrets: str, now: datetime = NOW) -> str | None:
    refused = PROVIDERS[provider].verify(delivery, secrets or (SECRET[provider],), now, TOLERANCE)
    return None if refused is None else refused.code


def test_every_provider_has_a_signature_here() -> None:
    assert sorted(SIGN) == NAMES


@pytest.mark.parametrize("provider", NAMES)
def test_what_is_signed_is_taken_and_what_is_tampered_with_is_not(provider: str) -> None:
    delivery = signed(provider, BODY)
    assert verdict(provider, delivery) is None
    assert verdict(provider, delivery._replace(raw=BODY + b" ")) == "bad_signature"
    assert verdict(provider, delivery._replace(raw=b"")) == "bad_signature"
    assert verdict(provider, signed(provider, b"")) is None


@pytest.mark.parametrize("provider", NAMES)
def test_both_secrets_are_taken_while_one_is_rotated(provider: str) -> None:
    old, new = SECRET[provider], OTHER[provider]
    assert verdict(provider, signed(provider, BODY, secret=old), new, old) is None
    assert verdict(provider, signed(provider, BODY, secret=new), new, old) is None
    assert verdict(provider, signed(provider, BODY, secret=old), new) == "bad_signature"


@pytest.mark.parametrize("provider", NAMES)
def test_no_signature_an_empty_one_two_and_another_spelling_are_refused(provider: str) -> None:
    delivery = signed(provider, BODY)
    right = delivery.headers[HEADER[provider]]
    assert verdict(provider, Delivery(BODY, {})) == "missing_signature"

    def instead(value: bytes) -> str | None:
        return verdict(provider, delivery._replace(headers={**delivery.headers, HEADER[provider]: value}))

    assert instead(right) is None
    assert instead(b"") == instead(b"   ") == "missing_signature"
    for value in (right + b", " + b"x", right[:-1], right + b"=", right.upper(), right.lower(), right.swapcase()):
        if value != right:
            # Parts of a list that are no signature of the known scheme are left unread, as Stripe asks.
            unread = value == right + b", x" and provider in {"shippo", "stripe"}
            assert instead(value) == (None if unread else "bad_signature")
    for value in (
        "ü".encode(),
        "ü".encode("latin-1"),
        b"\xff" * 64,
        b"t=",
        b"v1,",
        b"hmac-sha256-hex=",
        b"==",
        b"," * 500,
    ):
        assert instead(value) == "bad_signature"


@pytest.mark.parametrize("provider", TIMED)
def test_a_signed_time_is_held_to_the_clock(provider: str) -> None:
    delivery = signed(provider, BODY)
    for seconds, expected in ((299, None), (-299, None), (301, "stale_signature"), (-301, "stale_signature")):
        assert verdict(provider, delivery, now=NOW + timedelta(seconds=seconds)) == expected
    # Who cannot sign does not learn of our clock.
    later = NOW + timedelta(hours=1)
    assert verdict(provider, delivery._replace(raw=b"{}"), now=later) == "bad_signature"


@pytest.mark.parametrize("provider", sorted(set(NAMES) - set(TIMED)))
def test_without_a_signed_time_a_late_delivery_is_taken(provider: str) -> None:
    assert verdict(provider, signed(provider, BODY), now=NOW + timedelta(days=3)) is None


def test_stripe_takes_one_of_several_signatures_and_ignores_other_schemes() -> None:
    right = signed("stripe", BODY).headers[b"stripe-signature"].decode()
    time, _, signature = right.partition(",")
    digits = signature.removeprefix("v1=")

    def of(header: str) -> str | None:
        return verdict("stripe", Delivery(BODY, {b"stripe-signature": header.encode()}))

    assert of(f"{time},v1={'0' * 64},{signature},v0=xyz") is None
    assert of(f"{time}, {signature}") is None
    assert of(f"{time},v0={digits}") == "bad_signature"
    assert of(f"{signature}") == of(f"{time}") == of(f"t=1,{right}") == "bad_signature"
    assert of(f"t=+{time[2:]},{signature}") == of(f"t=٣,{signature}") == "bad_signature"
    assert of(f"{time}," + f"v1={'0' * 64}," * 50 + signature) == "bad_signature"


def test_the_example_of_standard_webhooks_is_taken_at_its_time() -> None:
    headers = {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    delivery, at = Delivery(b'{"test": 2432232314}', headers), datetime.fromisoformat("2021-02-25T15:02:10+00:00")
    assert verdict("standard", delivery, STANDARD_SECRET, now=at) is None
    assert verdict("standard", delivery, STANDARD_SECRET.removeprefix("whsec_"), now=at) is None
    assert verdict("standard", delivery, STANDARD_SECRET) == "stale_signature"
    several = {**headers, b"webhook-signature": b"v1,AAAA v1a,x " + headers[b"webhook-signature"]}
    assert verdict("standard", delivery._replace(headers=several), STANDARD_SECRET, now=at) is None


def test_what_the_standard_library_signs_is_taken() -> None:
    text = '{"type":"shipment.scanned","n":"ä"}'
    headers = {
        b"webhook-id": b"msg_2",
        b"webhook-timestamp": str(int(NOW.timestamp())).encode(),
        b"webhook-signature": Webhook(STANDARD_SECRET).sign("msg_2", NOW, text).encode(),
    }
    assert verdict("standard", Delivery(text.encode(), headers), STANDARD_SECRET) is None
    assert verdict("standard", Delivery(text.encode(), {**headers, b"webhook-id": b"msg_3"})) == "bad_signature"


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "ünicode", "whsec_a"])
def test_a_text_that_is_no_key_of_standard_webhooks_takes_nothing(secret: str) -> None:
    assert PROVIDERS["standard"].secret_flaw(secret) is not None
    assert verdict("standard", signed("standard", BODY), secret) == "bad_signature"
    assert PROVIDERS["standard"].secret_flaw(STANDARD_SECRET) is None


def test_easypost_signs_with_the_secret_in_nfkd() -> None:
    # As in the tests of EasyPost's own clients: a secret with an accent, written in either way.
    for secret in ("s\u00e9cret", "se\u0301cret"):
        assert verdict("easypost", signed("easypost", BODY, secret="s\u00e9cret"), secret) is None


def test_shippo_takes_a_token_where_it_does_not_sign() -> None:
    secret = "123abc"

    def of(query: bytes, *secrets: str) -> str | None:
        return verdict("shippo", Delivery(BODY, {}, query), *(secrets or (secret,)))

    assert of(b"token=123abc") is of(b"x=1&token=123abc") is of(b"token=123abc", "new", secret) is None
    assert of(b"") == of(b"other=123abc") == "missing_signature"
    for query in (
        b"token=123ab",
        b"token=",
        b"token=123abc&token=x",
        b"token=%FF",
        b"token=\xff",
        b"&" * 500 + b"token=123abc",
    ):
        assert of(query) in {"bad_signature", "missing_signature"}
    # Where it signs, the token does not help.
    signed_badly = Delivery(BODY, {b"shippo-auth-signature": b"t=1,v1=00"}, b"token=123abc")
    assert verdict("shippo", signed_badly, secret) == "bad_signature"


def test_a_ping_of_woocommerce_is_taken_and_is_nothing() -> None:
    ping = Delivery(b"webhook_id=7", {})
    assert verdict("woocommerce", ping) is None
    made = PROVIDERS["woocommerce"].translate(ping)
    assert made == ((), True, False)
    assert verdict("woocommerce", Delivery(b"webhook_id=7&x=1", {})) == "missing_signature"


@pytest.mark.parametrize("provider", NAMES)
def test_a_source_without_a_secret_takes_nothing(provider: str) -> None:
    empty = signed(provider, BODY, secret="whsec_" + base64.b64encode(b"k").decode() if provider == "standard" else "k")
    assert verdict(provider, empty, "") == "bad_signature"


@given(
    provider=st.sampled_from(NAMES),
    raw=st.binary(max_size=40),
    values=st.lists(st.binary(max_size=80), min_size=3, max_size=3),
    query=st.binary(max_size=40),
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_nothing_that_a_stranger_sends_is_taken_or_raises(
    provider: str, raw: bytes, values: list[bytes], query: bytes, secret: str
) -> None:
    names = [HEADER[provider], b"webhook-id", b"webhook-timestamp"]
    code = verdict(provider, Delivery(b"{" + raw, dict(zip(names, values, strict=True)), query), secret)
    assert code in {"bad_signature", "missing_signature"}
