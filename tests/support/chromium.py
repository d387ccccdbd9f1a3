"""The system's Chromium for a test, quiet and without a network of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from playwright.async_api import Browser, async_playwright

SCRIPT = Path(__file__).parents[2] / "scripts" / "chromium"
ARGUMENTS = (
    "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@lru_cache(maxsize=1)
def executable() -> str:
    """The path of a Chromium."""
    found = subprocess.run([str(SCRIPT)], capture_output=True, text=True, check=True, cwd=SCRIPT.parents[1])
    return found.stdout.strip()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running one; root must do without the sandbox."""
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=[*ARGUMENTS, *root])
        try:
            yield browser
        finally:
            await browser.close()
