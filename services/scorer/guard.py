"""Where a webhook may go: names are resolved once, and the address that was checked is the one connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PRIVATE: Final[tuple[Network, ...]] = (
    *(
        IPv4Network(block)
        for block in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    ),
    *(IPv6Network(block) for block in ("::1/128", "fc00::/7")),
)
"""This machine and private networks: allowed where the setting says so."""

NEVER: Final[tuple[Network, ...]] = (
    *(
        IPv4Network(block)
        for block in (
            "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        )
    ),
    *(
        IPv6Network(block)
        for block in (
            "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
            "2002::/16", "3fff::/20", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
        )
    ),
)  # fmt: skip
"""No web server that a person meant is here: link-local (a cloud's metadata), multicast, reserved, translated."""


class RefusedAddressError(Exception):
    """The webhook's name leads to an address that nothing is sent to."""


def allowed(address: Address, *, allow_private: bool) -> bool:
    """Whether something may be sent there. An IPv4 address in IPv6 clothes is judged as what it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return allowed(address.ipv4_mapped, allow_private=allow_private)
    if any(address in block for block in PRIVATE):
        return allow_private
    return not any(address in block for block in NEVER)


async def resolve(host: str, port: int, *, allow_private: bool) -> Address:
    """The first allowed address of `host`.

    Raises:
        RefusedAddressError: all its addresses are such that nothing is sent there.
        OSError: there is no such name.
    """
    found = await _addresses(host, port)
    for address in found:
        if allowed(address, allow_private=allow_private):
            return address
    message = f"{host} leads to {', '.join(sorted({str(one) for one in found}))}, where nothing is sent"
    raise RefusedAddressError(message)


async def _addresses(host: str, port: int) -> Sequence[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(where[0]).partition("%")[0]) for *_, where in infos]
