"""What a provider delivers to the address of a source: checked, translated, and stored as the calls of a batch.

A delivery whose signature is right is answered with 200 once what it became is stored, also when none of it can be
used: providers send again what is refused, and then switch the webhook off. What cannot be used is refused call by
call, as in a batch, and kept as dead letters; where these cannot be written the provider is put off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from pathline.kit import logging
from services.ingest.answers import ALL_STORED, Answer, HeaderMap, refuse
from services.ingest.codes import Refused
from services.ingest.desk import Desk, Request
from services.ingest.dialects import Made, Translated
from services.ingest.metrics import IngestMetrics
from services.ingest.passes import Pass
from services.ingest.providers import PROVIDERS, Delivery, Provider, Translation
from services.ingest.settings import IngestSettings
from services.ingest.sources import UNAVAILABLE, Source

log = logging.get_logger(__name__)

_FAULT: Final = Refused("not_translated", "something is wrong with Pathline's mapping of this provider; the log has it")


class Webhooks:
    """Takes deliveries. One for a process."""

    def __init__(self, desk: Desk, settings: IngestSettings, metrics: IngestMetrics) -> None:
        """Give calls to `desk`, within the bounds of `settings`."""
        self._desk = desk
        self._tolerance_seconds = settings.webhook_tolerance_seconds
        self._calls_max = settings.batch_calls_max
        self._metrics = metrics

    async def take(self, source: Source, request: Request, headers: HeaderMap, query: bytes) -> Answer:
        """The answer to one delivery."""
        provider = PROVIDERS.get(source.row.provider)
        if provider is None:
            # A newer Pathline made the source: this one must not switch the provider's webhook off.
            return refuse(UNAVAILABLE)
        delivery = Delivery(request.raw, headers, query)
        now = datetime.now(UTC)
        refused = provider.verify(delivery, source.row.secrets(now), now, self._tolerance_seconds)
        if refused is not None:
            self._metrics.delivered(provider.name, refused.code)
            return refuse(refused)
        translated = _translated(provider, delivery)
        calls = (
            [Made(translated, request.raw)] if isinstance(translated, Refused) else list(map(Made, translated.calls))
        )
        answer = await self._stored(request, source.key, calls)
        stored = answer.status == HTTPStatus.OK
        self._metrics.delivered(provider.name, _outcome(translated) if stored else "not_stored")
        return answer

    async def _stored(self, request: Request, key: Pass, calls: Sequence[Made]) -> Answer:
        """The answer once these are stored. What is wrong with them is no reason for a provider to send them again."""
        if refused := request.body.charge(key):
            return refuse(refused)
        answer = ALL_STORED
        # A parcel's history may be longer than a batch.
        for start in range(0, len(calls), self._calls_max):
            part = await self._desk.take_calls(
                request, key, Translated(calls[start : start + self._calls_max]), keeping=True
            )
            if part.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return part
            answer = part if part is not ALL_STORED else answer
        return answer._replace(status=HTTPStatus.OK)


def _translated(provider: Provider, delivery: Delivery) -> Translation | Refused:
    """What a provider makes of a delivery. A fault of ours must not switch its webhook off."""
    try:
        return provider.translate(delivery)
    except Exception as fault:  # noqa: BLE001 - whatever it is
        # By its type alone: its text may hold what was sent.
        log.error("a delivery was not translated", provider=provider.name, fault=type(fault).__name__)  # noqa: TRY400
        return _FAULT


def _outcome(translated: Translation | Refused) -> str:
    if isinstance(translated, Refused):
        return "fault" if translated is _FAULT else "unreadable"
    if not translated.calls:
        return "nothing"
    return "privacy" if translated.privacy else "known" if translated.known else "unknown"
