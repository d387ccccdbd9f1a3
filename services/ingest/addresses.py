"""Addresses of people's devices, in contexts: kept, truncated or left out, as a key's policy says."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from pathline.storage.keys import Addresses

KEPT_BITS: Final = {4: 24, 6: 48}
"""Of an address of each version: what names a network of many, and nobody in it."""

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def truncated(address: object) -> str | None:
    """The address with its last bits zero; None where it is none."""
    try:
        whole = ipaddress.ip_address(address.strip() if isinstance(address, str) else "")
    except ValueError:
        return None
    if isinstance(whole, ipaddress.IPv6Address) and whole.ipv4_mapped is not None:
        whole = whole.ipv4_mapped
    return str(ipaddress.ip_network((int(whole), KEPT_BITS[whole.version]), strict=False).network_address)


def in_context(raw: bytes, given: object, keep: Addresses) -> bytes:
    """A context, JSON text, with what may be kept of its `ip`, `given` being its value."""
    fields = _fields.decode(raw)
    kept = truncated(given) if keep == "truncated" else None
    if kept is None:
        fields.pop("ip", None)
    else:
        fields["ip"] = msgspec.Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(fields)
