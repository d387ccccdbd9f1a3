"""What a policy lets through: sites, calls in time, room; and what is kept of an address."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathline.storage.keys import Policy, WriteKey
from services.ingest import addresses, passes
from services.ingest.passes import Bucket, Origins, Pass

BORN = datetime(2026, 1, 1, tzinfo=UTC)


def row(*, kind: str = "browser", policy: Policy | None = None) -> WriteKey:
    return WriteKey("shop", "k", kind, "default", False, BORN, None, policy=policy or Policy())  # type: ignore[arg-type] # noqa: FBT003 - a row


@pytest.mark.parametrize("origin", [b"https://shop.example", b"https://a.shop.example", b"https://a.b.shop.example"])
def test_a_site_of_the_list_may_send(origin: bytes) -> None:
    assert origin in Origins(["https://shop.example", "https://*.shop.example"])


@pytest.mark.parametrize(
    "origin",
    [b"", b"null", b"http://shop.example", b"https://shop.example:8443", b"https://evilshop.example",
     b"https://shop.example.evil", b"https://.shop.example", b"https://x/.shop.example", b"https://a@.shop.example"],
)  # fmt: skip
def test_another_may_not(origin: bytes) -> None:
    assert origin not in Origins(["https://shop.example", "https://*.shop.example"])


def test_a_port_belongs_to_a_site() -> None:
    listed = Origins(["https://shop.example:8443", "http://*.shop.example:8080"])
    assert b"https://shop.example:8443" in listed and b"http://a.shop.example:8080" in listed
    for other in (b"https://shop.example", b"http://a.shop.example", b"https://a.shop.example:8080"):
        assert other not in listed


class Counted(bytes):
    """Bytes that tell how often a part of them was taken."""

    parts = 0

    def __getitem__(self, key: Any) -> Any:
        Counted.parts += 1
        return super().__getitem__(key)


def test_what_an_origin_costs_is_bounded_however_long_it_or_the_list_is() -> None:
    listed = Origins([f"https://*.shop-{number}.example" for number in range(1_000)])
    # 16 KiB of it took 437 ms while all of the list was one pattern.
    for origin in (b"https://" + b"a." * 8_000 + b"shop-7.example", b"https://" + b"a." * 140 + b"none"):
        Counted.parts = 0
        assert Counted(origin) not in listed
        assert Counted.parts <= passes.ORIGIN_MAX / 2
    assert b"https://" + b"a." * 100 + b"shop-7.example" in listed
    assert b"https://" + b"a." * 200 + b"shop-7.example" not in listed


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(passes, "time", made)
    return made


def test_calls_beyond_the_rate_wait_for_as_long_as_is_said(clock: Clock) -> None:
    bucket = Bucket(10, 20)
    assert [bucket.take(1) for _ in range(20)] == [0] * 20
    assert bucket.take(5) == 1
    clock.now += 0.4
    assert bucket.take(5) == 1
    clock.now += 0.1
    assert bucket.take(5) == 0
    clock.now += 1_000
    assert bucket.take(20) == 0
    assert bucket.take(1) == 1


def test_a_batch_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for(clock: Clock) -> None:
    bucket = Bucket(10, 20)
    assert bucket.take(50) == 0
    assert bucket.take(1) == 4
    clock.now += 4
    assert bucket.take(1) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 40)), max_size=60), st.integers(1, 20), st.integers(1, 40))
def test_in_the_long_run_no_more_pass_than_the_rate(steps: list[tuple[float, int]], rate: int, burst: int) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "time", clock)
        bucket = Bucket(rate, burst)
        begun, passed, largest = clock.now, 0, 0
        for pause, count in steps:
            clock.now += pause
            if bucket.take(count) == 0:
                passed += count
                largest = max(largest, count)
        assert passed <= burst + largest + (clock.now - begun) * rate + 1e-6


def test_a_key_that_is_read_again_does_not_get_its_calls_back(clock: Clock) -> None:
    limited = row(policy=Policy(calls_per_second=1, burst=1))
    one = Pass(limited, 100)
    assert one.bucket is not None and one.bucket.take(1) == 0
    one.update(row(policy=Policy(calls_per_second=1, burst=1, origins=("https://shop.example",))))
    assert one.bucket.take(1) == 1
    one.update(row(policy=Policy(calls_per_second=1, burst=2)))
    assert one.bucket.take(1) == 0
    one.update(row())
    assert one.bucket is None


def test_a_key_has_its_own_room() -> None:
    one = Pass(row(), 100)
    assert one.hold(60) and not one.hold(50) and one.hold(40)
    assert one.held == 100


@pytest.mark.parametrize(("kind", "kept"), [("browser", "truncated"), ("server", "full")])
def test_what_is_kept_of_an_address_goes_by_the_kind_unless_it_is_said(kind: str, kept: str) -> None:
    assert Pass(row(kind=kind), 1).addresses == kept
    assert Pass(row(kind=kind, policy=Policy(addresses="none")), 1).addresses == "none"


@pytest.mark.parametrize(
    ("address", "kept"),
    [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2:3::4", "2001:db8:1::"), ("::ffff:203.0.113.77", "203.0.113.0"),
     (" 203.0.113.77 ", "203.0.113.0"), ("somewhere", None), (7, None), ({}, None), ("", None)],
)  # fmt: skip
def test_an_address_is_truncated_to_its_network(address: object, kept: str | None) -> None:
    assert addresses.truncated(address) == kept
    context = msgspec.json.encode({"ip": address, "page": {"n": 1.50}})
    after = msgspec.json.decode(addresses.in_context(context, address, "truncated"))
    assert after == ({"page": {"n": 1.5}} if kept is None else {"ip": kept, "page": {"n": 1.5}})
    assert b'"ip"' not in addresses.in_context(context, address, "none")
