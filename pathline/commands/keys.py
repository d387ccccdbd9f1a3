"""`pathline keys`: the write keys with which sites, apps and servers send."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from pathline.commands.tables import new_table, print_table
from pathline.kit.settings import Settings
from pathline.storage import keys as store

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
Name = Annotated[str, typer.Argument(help="What it is for, as it is shown: shop-web, till-7.")]
OldName = Annotated[str, typer.Argument(help="The key's name, as `pathline keys list` shows it.")]
T = TypeVar("T")

app = typer.Typer(help="Write keys.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="keys", rich_help_panel="Data")


@app.command()
def create(
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="browser: public, acts and identify only; server: secret, may send all.")],
    namespace: Annotated[str, typer.Option(help="Keeps things of two shops with the same numbers apart.")] = "default",
) -> None:
    """Make a key and print it; this is what senders put before the colon."""
    if kind not in store.KINDS:
        message = "browser or server"
        raise typer.BadParameter(message, param_hint="--kind")
    for value, hint in ((name, "NAME"), (namespace, "--namespace")):
        if not NAME_PATTERN.fullmatch(value):
            message = "small letters, digits, dot, dash and underscore, at most 63"
            raise typer.BadParameter(message, param_hint=hint)
    key = f"pl{kind[0]}_{secrets.token_urlsafe(24)}"
    made = _with_database(lambda db: store.create(db, name=name, key=key, kind=kind, namespace=namespace))
    if made is None:
        typer.echo(f"pathline: there is a key named {name} already [name_taken]", err=True)
        raise typer.Exit(1)
    print(made.key)


@app.command("list")
def list_all() -> None:
    """Every key; a browser's in full, since it is public, a server's by its first letters."""
    table = new_table("name", "kind", "namespace", "key", "from", "made", "revoked")
    for key in _with_database(store.list_all):
        table.add_row(
            key.name,
            key.kind,
            key.namespace,
            key.key if key.kind == "browser" or key.loopback_only else f"{key.key[:8]}…",
            "this machine" if key.loopback_only else "anywhere",
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "-",
        )
    print_table(table)


@app.command()
def revoke(name: OldName) -> None:
    """End a key for ever. What it sent stays."""
    if not _with_database(lambda db: store.revoke(db, name)):
        typer.echo(f"pathline: no key named {name} is in use [not_found]", err=True)
        raise typer.Exit(1)
    print(f"{name} is revoked; collectors refuse it within seconds")


def _with_database(work: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(Settings.load().dsn(), timeout=10)
        try:
            async with connection.transaction():
                return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
