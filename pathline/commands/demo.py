"""`pathline demo-file`: the demo's customers as a file of history."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from pathline.commands.trouble import about_file
from pathline.demo.history import history

STDOUT = "-"
FAILED = 2
CUSTOMERS_MAX = 1_000_000
DAYS_MAX = 366


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="demo-file", rich_help_panel="Data")(demo_file)


def demo_file(
    *,
    customers: Annotated[int, typer.Option(min=1, max=CUSTOMERS_MAX, help="How many customers come.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and start give the same file, byte for byte.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="In how many days.")] = 30,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC; without it, so that the last was yesterday."),
    ] = None,
    out: Annotated[str, typer.Option(help="The file; - is standard output.")] = STDOUT,
) -> None:
    """Write what a shop's customers did in a month, as NDJSON for `pathline import` and `pathline backtest`."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=days) if start is None else start.replace(tzinfo=UTC)
    lines = history(seed, customers=customers, start=first, days=days)
    if out == STDOUT:
        sys.stdout.buffer.writelines(lines)
        return
    try:
        with Path(out).open("wb") as file:
            file.writelines(lines)
    except OSError as problem:
        typer.echo(f"pathline: {about_file(problem)}", err=True)
        raise typer.Exit(FAILED) from problem
