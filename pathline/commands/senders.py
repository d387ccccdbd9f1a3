"""What the commands for write keys and for sources of webhooks have in common."""

import re
from typing import Annotated, NoReturn

import typer

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
OVERLAP_HOURS_MAX = 24 * 30

Namespace = Annotated[str, typer.Option(help="Keeps things of two shops with the same numbers apart.")]
Hours = Annotated[
    int, typer.Option("--for", min=0, max=OVERLAP_HOURS_MAX, help="Hours for which the old one is taken, too.")
]


def check_names(name: str, namespace: str) -> None:
    """Fail unless both can be names."""
    for value, hint in ((name, "NAME"), (namespace, "--namespace")):
        if not NAME_PATTERN.fullmatch(value):
            message = "small letters, digits, dot, dash and underscore, at most 63"
            raise typer.BadParameter(message, param_hint=hint)


def refuse_taken(kind: str, name: str) -> NoReturn:
    """End: there is one of this name, or was."""
    message = f"there is a {kind} named {name} already, or was one: the name of a revoked one stays taken"
    typer.echo(f"pathline: {message} [name_taken]", err=True)
    raise typer.Exit(1)


def refuse_unknown(kind: str, name: str) -> NoReturn:
    """End: none of this name is in use."""
    typer.echo(f"pathline: no {kind} named {name} is in use [not_found]", err=True)
    raise typer.Exit(1)
