"""The signed webhook: Standard Webhooks 1.0, to an address that was checked, without redirects, with patience."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx
from standardwebhooks import Webhook

from pathline.contracts import alert_message
from services.scorer import guard
from services.scorer.courier import Delivered, GivenUp, Gone, Outcome, Postponed
from services.scorer.guard import RefusedAddressError

if TYPE_CHECKING:
    from pathline.domain.alerts import Alert
    from pathline.storage.outbox import Delivery

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE

RETRY_SECONDS: Final = (
    5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
"""Pauses between the tries, as Standard Webhooks advises. After the last try a notice is given up."""

JITTER: Final = 0.1
"""A pause is longer by up to this share, so that a receiver that comes back is not met by all at once."""

MAX_RETRY_AFTER_SECONDS: Final = 24 * HOUR
"""A receiver can't put us off for longer."""

ANSWER_BYTES: Final = 4_096
"""Of an answer's body so much is read, so that the connection can be used again; a longer one is cut off."""

USER_AGENT: Final = "pathline-webhook/1"

Advice = Callable[["Alert"], str | None]


class WebhookSender:
    """Posts notices to one address."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        advice: Advice,
        console_url: str,
        allow_private: bool,
        timeout_seconds: float,
        connections: int,
    ) -> None:
        """Post to `url`, signed with `secret`.

        Args:
            url: http or https.
            secret: `whsec_` and base64.
            advice: what to do about an alert.
            console_url: where links lead.
            allow_private: whether `url` may be on this machine or a private network.
            timeout_seconds: for one post, from the look at the name to the end of the answer.
            connections: at once.
        """
        self._url = httpx.URL(url)
        self._signer = Webhook(secret)
        self._advice = advice
        self._console_url = console_url
        self._allow_private = allow_private
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def deliver(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post them one after the other."""
        return [await self._deliver(one) for one in deliveries]

    async def _deliver(self, delivery: Delivery) -> Outcome:
        body = alert_message.webhook(delivery.notice, self._advice(delivery.notice.alert), self._console_url)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, retry_after = await self._post(delivery.delivery_id, body)
        except TimeoutError:
            return later(delivery.attempts, "timeout")
        except RefusedAddressError as refused:
            return later(delivery.attempts, str(refused))
        except (httpx.HTTPError, OSError) as error:
            return later(delivery.attempts, f"{type(error).__name__}: {error}")
        if httpx.codes.is_success(status):
            return Delivered()
        if status == httpx.codes.GONE:
            return Gone("the receiver answered 410 Gone")
        return later(delivery.attempts, f"HTTP {status}", retry_after)

    async def _post(self, delivery_id: str, body: bytes) -> tuple[int, str | None]:
        """Post a body; the status and Retry-After of the answer."""
        host, port = self._url.host, self._url.port or (443 if self._url.scheme == "https" else 80)
        address = await guard.resolve(host, port, allow_private=self._allow_private)
        now = datetime.now(UTC)
        headers = {
            "host": self._url.netloc.decode("ascii"),
            "user-agent": USER_AGENT,
            "content-type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(delivery_id, now, body.decode()),
        }
        # Connected to by its address, so that nobody can change it between check and use; the name is for TLS.
        request = self._client.build_request(
            "POST",
            self._url.copy_with(host=str(address)),
            content=body,
            headers=headers,
            extensions={"sni_hostname": host},
        )
        answer = await self._client.send(request, stream=True)
        try:
            read = 0
            async for part in answer.aiter_raw():
                read += len(part)
                if read > ANSWER_BYTES:
                    break
            return answer.status_code, answer.headers.get("retry-after")
        finally:
            await answer.aclose()


def later(attempts: int, why: str, retry_after: str | None = None) -> Outcome:
    """When to try again after so many tries, or that it is given up."""
    if attempts > len(RETRY_SECONDS):
        return GivenUp(why)
    pause = RETRY_SECONDS[attempts - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311 - jitter, not a secret
    return Postponed(max(pause, _seconds(retry_after)), why)


def _seconds(retry_after: str | None) -> float:
    """What Retry-After asks for: seconds, or a date; 0 where it says nothing that can be read."""
    if retry_after is None:
        return 0
    text = retry_after.strip()
    try:
        asked = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(asked, 0), MAX_RETRY_AFTER_SECONDS)
