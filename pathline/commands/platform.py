"""`up`, `status`, `migrate`, `topics`, `settings`, `sign-in`: the platform that the services stand on."""

import asyncio
import os
import time
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from pathline.commands.settings import all_settings, check_all, unknown
from pathline.commands.tables import new_table, print_table
from pathline.embedded import home as homes
from pathline.kit import signin
from pathline.kit.settings import Settings
from pathline.kit.topics import check_topics, ensure_topics
from pathline.supervisor import credential, state
from pathline.supervisor.status import Health, Status, wait

DIFFERS = 1
"""Exit status of a check that found a difference."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, status, migrate, topics, sign_in):
        app.command(name=command.__name__.replace("_", "-"), rich_help_panel="Platform")(command)
    app.command(name="settings", rich_help_panel="Platform")(show_settings)


def up(*, demo: Annotated[bool, typer.Option("--demo", help="Also run a small shop with customers.")] = False) -> None:
    """Run Kafka, Postgres and all four services on this machine, in the foreground."""
    from pathline.supervisor.up import up as run_up

    check_all()
    for sentence in unknown(os.environ):
        typer.echo(f"pathline: {sentence}", err=True)
    run_up(Settings.load(), demo=demo)


def status(
    *,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until all are ready.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Each part, its address, its health; exit 0 when all are ready."""
    settings = Settings.load()
    seen = asyncio.run(wait(settings, wait_seconds))
    if as_json:
        print(msgspec.json.encode(seen).decode())
    else:
        if seen.supervisor is None and _needs_up(settings):
            print(f"Pathline is not running on {seen.home}; start it with `pathline up`.")
        print_table(_table(seen))
    raise typer.Exit(0 if seen.ready else 1)


def migrate(*, check: Annotated[bool, typer.Option("--check", help="Only say.")] = False) -> None:
    """Bring the database up to date."""
    asyncio.run(_migrate(Settings.load().dsn(), check=check))


def topics(*, check: Annotated[bool, typer.Option("--check", help="Only say.")] = False) -> None:
    """Make the topics that are missing."""
    asyncio.run(_topics(Settings.load(), check=check))


def sign_in() -> None:
    """Print a link that signs in to the console; good for twelve hours."""
    settings = Settings.load()
    home = homes.prepare(settings.home)
    token = credential.api_token(home)
    if homes.holder(home) is None and _needs_up(settings):
        typer.echo(f"pathline: no `pathline up` runs on {home}; the link works once its console runs", err=True)
    snapshot = state.read(settings.home)
    running = {part.name: part.address for part in snapshot.parts} if snapshot is not None else {}
    print(signin.link(running.get("console", settings.console), token, now_seconds=time.time()))


def show_settings() -> None:
    """Every setting, its value unless set, its bounds and what it is for."""
    table = new_table("setting", "unless set", "bounds", "what it is for")
    for setting in all_settings():
        table.add_row(setting.variable, setting.default, setting.bounds, setting.description)
    print_table(table)


async def _migrate(dsn: str, *, check: bool) -> None:
    # Here, because the other commands need none of it, and it takes a second to import.
    from pathline.storage import migrate as migrations
    from pathline.supervisor import first_run

    if check:
        have, want = await migrations.current(dsn), migrations.head()
        print(f"the database is at version {have or 'none'}; this Pathline wants {want}")
        raise typer.Exit(0 if have == want else DIFFERS)
    print(f"the database is at version {await first_run.migrated(dsn)}")


async def _topics(settings: Settings, *, check: bool) -> None:
    size = {"partitions": settings.partitions, "replicas": settings.replicas}
    if check:
        said = await check_topics(settings.bootstrap(), prefix=settings.topic_prefix, **size)
        print("\n".join(said) or "the topics are as they should be")
        raise typer.Exit(DIFFERS if said else 0)
    made = await ensure_topics(settings.bootstrap(), prefix=settings.topic_prefix, **size)
    print("\n".join(f"made {name}" for name in made) or "the topics are there")


def _table(seen: Status) -> Table:
    table = new_table("part", "health", "address", "pid", "restarts", "log")
    for part in seen.parts:
        table.add_row(
            part.name,
            "ready" if part.ready else f"not ready: {_why(part)}",
            part.address,
            str(part.pid or "-"),
            str(part.restarts),
            part.log or "-",
        )
    return table


def _needs_up(settings: Settings) -> bool:
    # With a database of one's own the services may run without an `up`.
    return settings.database_url is None


def _why(part: Health) -> str | None:
    # The whole sentence, for programs, would be the widest cell of the table by far.
    return part.reason if part.address else "no database is known"
