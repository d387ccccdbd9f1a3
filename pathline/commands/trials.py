"""`pathline detectors live|shadow`: who is told of what a detector finds."""

import getpass
from typing import Annotated, NoReturn

import typer

from pathline.commands.database import with_database
from pathline.commands.plain import plain
from pathline.contracts.yaml_files import like
from pathline.domain.alerts import MAX_NAME
from pathline.storage import detectors
from pathline.storage.detectors import Mode

FAILED = 1
ORIGIN = "command"

Name = Annotated[str, typer.Argument(help="The detector's name.")]
Actor = Annotated[str | None, typer.Option("--as", help="Who does it, for the record; without it your name here.")]


def register(app: typer.Typer) -> None:
    """Add both to the group."""
    app.command()(live)
    app.command()(shadow)


def live(name: Name, *, actor: Actor = None) -> None:
    """Send a detector live: people are told of its episodes, also of those that are open in shadow."""
    _switch(name, "live", actor)


def shadow(name: Name, *, actor: Actor = None) -> None:
    """Send a detector back on trial: its new episodes are counted, and nobody is told."""
    _switch(name, "shadow", actor)


def _switch(name: str, mode: Mode, actor: str | None) -> None:
    who = " ".join((actor or getpass.getuser()).split())[:MAX_NAME]
    if not who:
        message = "a name is needed"
        raise typer.BadParameter(message, param_hint="--as")
    done = with_database(lambda db: detectors.set_mode(db, name, mode, who, ORIGIN))
    where = "live" if mode == "live" else "in shadow"
    if done is None:
        known = with_database(detectors.listed)
        _fail(f"no scorer has met a detector {name!r}{like(name, [one.name for one in known])}", "unknown_detector")
    print(plain(f"{name} is {where}" + ("" if done else " already")))


def _fail(message: str, code: str) -> NoReturn:
    typer.echo(plain(f"pathline: {message} [{code}]"), err=True)
    raise typer.Exit(FAILED)
