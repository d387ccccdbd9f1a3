"""The README's pictures, taken from a running demo: docs/images/inbox.png and journey.png.

Starts `pathline up --demo` on a home of its own and free ports, waits until enough has gone wrong, and ends it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
PATHLINE = Path(sys.executable).with_name("pathline")
FREE = "127.0.0.1:0"
START_SECONDS = 300
WAIT_SECONDS = 420
STOP_SECONDS = 60
WANTED_ALERTS = 9
WANTED_DETECTORS = 3
"""A picture of one kind of trouble would not show what the inbox is for."""
SETTLE_MS = 1_500
WIDTH, INBOX_HEIGHT, JOURNEY_HEIGHT = 1_400, 820, 1_180

Alert = dict[str, Any]


class Demo:
    """A running `pathline up --demo`."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        """Look at the one on `home`."""
        self._environment = environment
        self._token = (home / "api-token").read_text(encoding="utf-8").strip()
        self.link = subprocess.run(
            [PATHLINE, "sign-in"], env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()
        self.url = self.link.partition("/sign-in")[0]

    def api(self, path: str, *, post: bool = False) -> Any:
        """Ask the API."""
        answer = httpx.request(
            "POST" if post else "GET",
            f"{self.url}/api/v1{path}",
            headers={"authorization": f"Bearer {self._token}", "pathline-actor": "Night shift"},
            timeout=10,
        )
        return answer.raise_for_status().json()

    def alerts(self) -> list[Alert]:
        """Those that are open, once there are enough of enough kinds."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found: list[Alert] = self.api("/alerts?state=open,acknowledged")["items"]
            kinds = {one["detector"] for one in found}
            if len(found) >= WANTED_ALERTS and len(kinds) >= WANTED_DETECTORS:
                return found
            if time.monotonic() > deadline:
                message = f"only {len(found)} alerts of {len(kinds)} kinds after {WAIT_SECONDS} s"
                raise TimeoutError(message)
            time.sleep(1)

    def richest(self, alerts: list[Alert]) -> str:
        """The customer in trouble with the most channels, then the most touchpoints."""
        owners = {one["customer_id"] for one in alerts if one["customer_id"]}
        customers = [self.api(f"/customers/{one}") for one in sorted(owners)]
        best = max(customers, key=lambda c: (bool(c["orders"]), len(c["channels"]), c["touchpoint_count"]))
        return str(best["id"])


@contextmanager
def demo() -> Iterator[Demo]:
    """A demo, from its ready line to its end."""
    with tempfile.TemporaryDirectory(prefix="pathline pictures ") as folder:
        home = Path(folder) / "home"
        names = ("COLLECTOR", "CONSOLE", "STITCHER", "SCORER", "SHOP")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PATHLINE_")}
        ours = {"PATHLINE_HOME": str(home), "PATHLINE_KAFKA_PORT": "0", **{f"PATHLINE_{name}": FREE for name in names}}
        log = Path(folder) / "up.log"
        with log.open("wb") as out:
            process = subprocess.Popen([PATHLINE, "up", "--demo"], env=kept | ours, stdout=out, stderr=out)
        try:
            _wait_ready(process, log)
            yield Demo(home, kept | ours)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _wait_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "pathline is ready" not in log.read_text(encoding="utf-8").splitlines():
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"the demo did not start:\n{log.read_text(encoding='utf-8')}"
            raise RuntimeError(message)
        time.sleep(0.2)


def take(browser: Browser, running: Demo) -> None:
    """Both pictures."""
    page = browser.new_page(viewport={"width": WIDTH, "height": INBOX_HEIGHT}, device_scale_factor=1.5)
    alerts = running.alerts()
    running.api(f"/alerts/{alerts[1]['id']}/acknowledge", post=True)
    page.goto(f"{running.link}&name=Early shift")
    _settled(page)
    page.screenshot(path=IMAGES / "inbox.png")
    page.set_viewport_size({"width": WIDTH, "height": JOURNEY_HEIGHT})
    page.goto(f"{running.url}/customers/{running.richest(alerts)}")
    _settled(page)
    page.screenshot(path=IMAGES / "journey.png")


def _settled(page: Page) -> None:
    """Wait until the page is live and has read once more what happened while it was made."""
    page.locator("#live-status[data-state=live]").wait_for()
    page.wait_for_timeout(SETTLE_MS)


def main() -> None:
    """Start, wait, take, end."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = subprocess.run(
        [ROOT / "scripts" / "chromium"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with demo() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu", *arguments])
        take(browser, running)
        browser.close()


if __name__ == "__main__":
    main()
