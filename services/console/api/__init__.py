"""The API, `/api/v1`."""

from fastapi import APIRouter

from services.console.api.accounts import router as accounts
from services.console.api.alerts import router as alerts
from services.console.api.customers import router as customers
from services.console.api.detectors import router as detectors
from services.console.api.document import router as document
from services.console.api.map import router as journey_map
from services.console.api.sources import router as sources
from services.console.api.stream import router as stream
from services.console.api.words import router as words

router = APIRouter(prefix="/api/v1")
for part in (customers, words, accounts, alerts, detectors, journey_map, sources, stream, document):
    router.include_router(part)
