"""The routes of the pages, their files, and how a person reads an error."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from services.console.errors import ApiError

router = APIRouter()
static_app = StaticFiles(directory=Path(__file__).parent.parent / "static", check_dir=False)


def error_page(_request: Request, error: ApiError) -> Response:
    """An error in answer to a page's request."""
    return error.response()
