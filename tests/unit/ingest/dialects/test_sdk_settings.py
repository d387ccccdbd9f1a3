"""What SDKs are told before they send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.codes import Refused
from services.ingest.dialects import settings
from services.ingest.dialects.settings import Place, place_of
from services.ingest.settings import IngestSettings


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ({b"host": b"collector.example"}, Place("http", "collector.example")),
        ({b"host": b"127.0.0.1:8080"}, Place("http", "127.0.0.1:8080")),
        ({b"host": b"[::1]:8080"}, Place("http", "[::1]:8080")),
        ({b"host": b"a.example", b"x-forwarded-proto": b"https"}, Place("https", "a.example")),
        ({b"host": b"a.example", b"x-forwarded-proto": b"HTTPS, http"}, Place("https", "a.example")),
        ({b"host": b"a.example", b"x-forwarded-proto": b"javascript"}, Place("http", "a.example")),
    ],
)
def test_the_place_is_where_it_was_asked(headers: dict[bytes, bytes], place: Place) -> None:
    assert place_of(headers, "http", None) == place


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a/b",
        b"a b",
        b"a@b",
        b"a:b",
        b"a?x",
        b'a"b',
        b"-a",
        b"a.",
        b"x" * 256,
        b"a\r\n",
        "ä.de".encode(),
        b"a:123456",
    ],
)
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    found = place_of({b"host": host}, "http", None)
    assert isinstance(found, Refused) and found.code == "bad_host"
    assert place_of({b"host": host}, "http", "https://c.example/in/") == Place("https", "c.example/in")


def test_the_setting_is_an_address() -> None:
    assert IngestSettings(public_collector="https://c.example:8443/in").public_collector == "https://c.example:8443/in"
    for wrong in (
        "c.example",
        "ftp://c.example",
        "https://",
        "https://u@c.example",
        "https://c.example/?a",
        "https://c.example/ a",
    ):
        with pytest.raises(ValidationError):
            IngestSettings(public_collector=wrong)


def test_segment_s_sdks_see_one_integration_and_measure_nothing() -> None:
    told = json.loads(settings.segment("k", Place("https", "c.example")))
    assert list(told["integrations"]) == ["Segment.io"]
    ours = told["integrations"]["Segment.io"]
    assert (ours["apiKey"], ours["apiHost"], ours["protocol"]) == ("k", "c.example/v1", "https")
    assert told["metrics"]["sampleRate"] == 0


def test_rudderstack_s_sdks_see_an_enabled_source_without_destinations() -> None:
    source = json.loads(settings.RUDDER)["source"]
    assert source["id"] and source["enabled"] is True
    assert isinstance(source["config"], dict) and source["destinations"] == []


@given(st.binary(max_size=30), st.binary(max_size=12))
def test_no_header_gets_into_an_address_but_a_host(host: bytes, proto: bytes) -> None:
    found = place_of({b"host": host, b"x-forwarded-proto": proto}, "http", None)
    if isinstance(found, Place):
        assert found.scheme in {"http", "https"}
        assert found.host.encode() == host and not set(host) & set(b"/?#@\\\"' \r\n")
