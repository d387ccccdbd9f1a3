"""Services as processes of their own, to be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx
import psutil

from pathline.embedded import ports
from pathline.kit.settings import split_address
from pathline.supervisor.parts import probe_service
from tests.support.records import until

ROOT = Path(__file__).parent.parent.parent
ADDRESS = {"ingest": "PATHLINE_COLLECTOR", "demo": "PATHLINE_SHOP"}
"""The setting with a service's address, where it is not named like the service."""
START_SECONDS = 100
"""With every processor busy with other tests; alone it takes a second or two."""


class Program:
    """`pathline NAME`, or the same with a safeguard switched off. Use it as a context manager: nothing is left behind."""

    def __init__(self, name: str, env: Mapping[str, str], logs: Path, *, without: str | None = None) -> None:
        """Run with `env` besides this process's environment; the log is a file in `logs`."""
        self.name = name
        self.address = ports.resolve("127.0.0.1:0")
        self.without = without
        # No balancer has to hear of its end, which would only take time.
        self._env = {
            "PATHLINE_LEAVE_SECONDS": "0",
            **os.environ,
            **env,
            ADDRESS.get(name, f"PATHLINE_{name.upper()}"): self.address,
        }
        self.log = logs / f"{name}-{split_address(self.address)[1]}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> Self:
        """Start it and wait until it is ready."""
        self.spawn()
        await self.ready()
        return self

    def spawn(self) -> None:
        """Start it; wait for nothing."""
        whole = [sys.executable, "-m", "pathline.cli", self.name]
        short = [sys.executable, "-m", "tests.chaos.without", str(self.without), self.name]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                short if self.without else whole, cwd=ROOT, env=self._env, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        """Wait until it says that it is able to work."""
        reason: str | None = None

        async def able() -> bool:
            nonlocal reason
            assert self.running, f"{self.name} ended\n{self.last_words()}"
            reason = await probe_service(self.address)
            return reason is None

        try:
            await until(able, START_SECONDS)
        except AssertionError as late:
            message = f"{self.name} is not ready: {reason}\n{self.last_words()}"
            raise AssertionError(message) from late

    async def speaks(self) -> None:
        """Wait until it answers for its health, be it that it is not ready."""

        async def answers() -> bool:
            assert self.running, f"{self.name} ended\n{self.last_words()}"
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    return (await client.get(f"http://{self.address}/health/live")).is_success
            except httpx.TransportError:
                return False

        await until(answers, START_SECONDS)

    async def says(self, words: str) -> None:
        """Wait until it has written these to its log."""

        async def said() -> bool:
            assert self.running, f"{self.name} ended\n{self.last_words()}"
            return words in self.log.read_text(errors="replace")

        await until(said, START_SECONDS)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:]

    def kill(self) -> None:
        """As the out-of-memory killer would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def freeze(self) -> None:
        """Stop it where it stands."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def asleep(self) -> None:
        """Wait until it stands still."""
        process = psutil.Process(self.pid)

        async def stopped() -> bool:
            return process.status() == psutil.STATUS_STOPPED

        await until(stopped, START_SECONDS)

    async def end(self) -> int:
        """Ask it to end; returns its exit status."""
        assert self._process is not None
        self._signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 30)

    async def __aenter__(self) -> Self:
        """Start."""
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        """End, whatever state it is in."""
        if self.running:
            self.thaw()
            try:
                await self.end()
            except subprocess.TimeoutExpired:
                self.kill()

    def _signal(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(which)
