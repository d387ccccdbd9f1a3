"""All pages under one router, and what the process needs beside them."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from services.console.pages import account, alert, customer, detectors, inbox, kin, search, signing
from services.console.pages import map as journey_map
from services.console.pages.render import error_page
from services.console.pages.static import VersionedFiles

router: Final = APIRouter(include_in_schema=False)
for part in (signing, inbox, search, alert, customer, kin, account, detectors, journey_map):
    router.include_router(part.router)

static_app: Final = VersionedFiles()

__all__ = ["error_page", "router", "static_app"]
