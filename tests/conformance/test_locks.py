"""The SDKs are what their registries have, by hash, wherever a registry is."""

from __future__ import annotations

import json
import re

import pytest

from tests.conformance.sdks import HERE, SDKS, WEBHOOKS, version


def test_packages_from_npm_are_pinned_by_hash_and_by_no_address() -> None:
    lock = (HERE / "node" / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    own = packages.pop("")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pinned) for pinned in own["dependencies"].values())
    assert [name for name, found in packages.items() if "integrity" not in found or "resolved" in found] == []


@pytest.mark.parametrize("name", ["requirements.lock", "node.lock"])
def test_packages_from_pypi_are_pinned_by_hash_and_by_no_address(name: str) -> None:
    lock = (HERE / "python" / name).read_text(encoding="utf-8")
    pinned = re.findall(r"^\S+==.*(?:\n    --hash=.*)+", lock, re.MULTILINE)
    assert pinned
    assert "\n".join(pinned) == lock.partition("lock\n")[2].rstrip()


def test_each_that_is_run_is_pinned() -> None:
    assert all(version(sdk.package) for sdk in (*SDKS, *WEBHOOKS) if sdk.package.name)
