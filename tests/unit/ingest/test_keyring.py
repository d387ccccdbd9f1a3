"""How a request shows its key, and what is said when the keys cannot be read."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from pathline.storage.keys import Policy, WriteKey
from services.ingest.codes import Refused
from services.ingest.keyring import MISSING, UNAVAILABLE, UNKNOWN, UNREADABLE, Keyring, is_loopback, key_in_query
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass

SHOP = WriteKey("shop", "kéy", "server", "default", False, datetime(2026, 1, 1, tzinfo=UTC), None)  # noqa: FBT003 - a row


def keyring() -> Keyring:
    ring = Keyring(IngestMetrics(CollectorRegistry(), "t"), 1_000)
    ring.replace([SHOP])
    return ring


def found(shown: Pass | Refused) -> WriteKey:
    assert isinstance(shown, Pass)
    return shown.key


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    "header",
    [basic("kéy:"), basic("kéy"), basic("kéy:password"), b"Bearer " + "kéy".encode(), b"bearer  " + "kéy".encode(),
     b"BASIC " + base64.b64encode("kéy:".encode()).rstrip(b"=")],
)  # fmt: skip
def test_a_header_shows_the_key_in_many_ways(header: bytes) -> None:
    assert found(keyring().by_header(header)) == SHOP


@pytest.mark.parametrize(
    "header", [basic("other:"), b"Bearer other", b"Bearer \xff\xfe", basic("x" * 250), basic("kéy ")]
)
def test_an_unknown_key_is_unknown(header: bytes) -> None:
    assert keyring().by_header(header) is UNKNOWN


@pytest.mark.parametrize(
    "header", [b"", b"Basic", b"Basic ", b"Basic ???", b"Digest x", b"Bearer ", basic(":x"), basic("x" * 999)]
)
def test_no_key_is_missing(header: bytes) -> None:
    assert keyring().by_header(header) is MISSING


@pytest.mark.parametrize("shown", [None, "", 7, {}, True])
def test_only_text_is_a_key(shown: object) -> None:
    assert keyring().by_text(shown) is MISSING


def test_a_revoked_key_is_unknown_after_the_next_reading() -> None:
    ring = keyring()
    assert found(ring.by_text("kéy")) == SHOP
    ring.replace([])
    assert ring.by_text("kéy") is UNKNOWN
    assert ring.by_header(basic("kéy:")) is UNKNOWN


def test_an_old_secret_ends_when_it_is_to_end_also_without_the_database() -> None:
    ring, now = keyring(), datetime.now(UTC)
    for until, taken in ((now + timedelta(hours=1), True), (now - timedelta(seconds=1), False)):
        ring.replace([SHOP._replace(old_key="older", old_until=until)])
        ring.fresh = False
        for shown in (ring.by_text("older"), ring.by_header(basic("older:")), ring.by_header(b"Bearer older")):
            assert (found(shown).name == "shop") if taken else (shown is UNKNOWN)
        assert found(ring.by_text("kéy")).old_key == "older"


def test_a_key_whose_policy_cannot_be_read_is_put_off_and_what_it_may_do_is_not_guessed() -> None:
    ring = keyring()
    newer = SHOP._replace(name="newer", key="new", kind="browser", policy=None)
    ring.replace([SHOP, newer])
    assert ring.by_text("new") is UNREADABLE and ring.by_header(basic("new:")) is UNREADABLE
    assert found(ring.by_text("kéy")) == SHOP
    assert ring._metrics.keys_unreadable._value.get() == 1
    assert ring.is_origin(b"https://shop.example")
    ring.replace([SHOP, newer._replace(policy=Policy(origins=("https://shop.example",)))])
    assert found(ring.by_text("new")).name == "newer"
    assert ring._metrics.keys_unreadable._value.get() == 0
    assert not ring.is_origin(b"https://other.example")


def test_without_the_database_known_keys_serve_and_others_are_told_to_wait() -> None:
    ring = keyring()
    ring.fresh = False
    assert found(ring.by_text("kéy")) == SHOP
    assert ring.by_text("made just now") is UNAVAILABLE


@pytest.mark.parametrize(
    ("query", "key"),
    [(b"writeKey=abc", "abc"), (b"x=1&writeKey=a%20b", "a b"), (b"writeKey=", None), (b"", None), (b"writekey=abc", None),
     (b"writeKey=a&writeKey=b", "a"), (b"writeKey=%ff", "\ufffd"), (b"writeKey=&writeKey=b", "b"), (b"awriteKey=a", None),
     (b"x=1&" * 3_000 + b"writeKey=a+b", "a b")],
)  # fmt: skip
def test_a_query_shows_the_key(query: bytes, key: str | None) -> None:
    assert key_in_query(query) == key


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False),
     ("::ffff:10.0.0.1", False), ("0.0.0.0", False), ("localhost", False), ("", False), ("::1%lo", True)],
)  # fmt: skip
def test_loopback(host: str, *, local: bool) -> None:
    assert is_loopback(host) is local
