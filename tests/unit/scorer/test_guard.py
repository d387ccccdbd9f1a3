"""Where a webhook may go."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from services.scorer import guard
from services.scorer.guard import RefusedAddressError, allowed, resolve

PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8")
PRIVATE = (
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "::1", "fd00::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1",
)  # fmt: skip
NEVER = (
    "0.0.0.0", "169.254.169.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::7f00:1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "fe80::1", "fec0::1", "ff02::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_allowed(address: str) -> None:
    assert allowed(ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_networks_only_where_it_is_said_so(address: str) -> None:
    assert not allowed(ip_address(address), allow_private=False)
    assert allowed(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_what_is_no_web_server_never(address: str) -> None:
    assert not allowed(ip_address(address), allow_private=False)
    assert not allowed(ip_address(address), allow_private=True)


async def test_of_several_addresses_the_first_allowed_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(_host: str, _port: int) -> list[guard.Address]:
        return [ip_address("127.0.0.1"), ip_address("8.8.8.8")]

    monkeypatch.setattr(guard, "_addresses", found)
    assert await resolve("two.example", 443, allow_private=False) == ip_address("8.8.8.8")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254"])
async def test_an_address_in_place_of_a_name_is_judged_too(host: str) -> None:
    with pytest.raises(RefusedAddressError, match="where nothing is sent"):
        await resolve(host, 80, allow_private=False)
