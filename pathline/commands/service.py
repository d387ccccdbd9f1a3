"""`pathline ingest | stitcher | scorer | console`: one service in the foreground, for production and for `up`."""

import importlib
from collections.abc import Callable

import typer

from pathline.kit import lifecycle, memory

SERVICES = {
    "ingest": "The collector: takes touchpoints over HTTP.",
    "stitcher": "Folds touchpoints into journeys.",
    "scorer": "Runs the detectors and raises alerts.",
    "console": "The support team's page and API.",
    "demo": "A small shop with customers, and a page to be one of them.",
}
MODULES = {"demo": "pathline.demo.app"}
"""Where a service's `main` is, when not in `services.NAME.app`."""


def register(app: typer.Typer) -> None:
    """Add one command for each service."""
    for name, words in SERVICES.items():
        app.command(name=name, help=words, rich_help_panel="Services")(_command(name))


def _command(name: str) -> Callable[[], None]:
    def command() -> None:
        main = importlib.import_module(MODULES.get(name, f"services.{name}.app")).main
        memory.settle()
        lifecycle.run(main)

    return command
