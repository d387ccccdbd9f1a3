"""`pathline sources`: which shops, couriers and payment providers send webhooks, and what they sign with."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from pathline.commands.database import with_database
from pathline.commands.senders import Hours, Namespace, check_names, refuse_taken, refuse_unknown
from pathline.commands.tables import new_table, print_table
from pathline.storage import sources as store

SECRET_MAX = 512
"""Characters of a secret; providers make them of 24 to 88."""
SHOWN_OF_SECRET = 4
"""Last letters that the list shows, of a secret of four times as many; the first may be a prefix of all."""

Name = Annotated[str, typer.Argument(help="The last part of its address, /v1/webhooks/NAME: shop, courier-de.")]
OldName = Annotated[str, typer.Argument(help="The source's name, as `pathline sources list` shows it.")]
Secret = Annotated[
    str, typer.Option(help="What the provider signs with, as it shows it; - reads it from standard input.")
]  # fmt: skip

app = typer.Typer(help="Sources of webhooks.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="sources", rich_help_panel="Data")


@app.command()
def create(
    name: Name,
    *,
    provider: Annotated[
        str, typer.Option(help="Who sends: shopify, stripe, aftership, easypost, shippo, woocommerce or standard.")
    ],
    secret: Secret,
    namespace: Namespace = "default",
) -> None:
    """Make a source and print the address to enter at the provider, below the collector's."""
    check_names(name, namespace)
    known = _providers()
    if provider not in known:
        raise typer.BadParameter(" or ".join(known), param_hint="--provider")
    read = _secret(secret, provider)
    made = with_database(
        lambda db: store.create(db, name=name, provider=provider, secret=read, namespace=namespace)
    )  # fmt: skip
    if made is None:
        refuse_taken("source", name)
    print(f"/v1/webhooks/{name}")


@app.command("list")
def list_all() -> None:
    """Every source; its secret by the last letters."""
    table = new_table("name", "provider", "namespace", "secret", "old secret until", "made", "revoked")
    for source in with_database(store.list_all):
        table.add_row(
            source.name,
            source.provider,
            source.namespace,
            _shown(source.secret),
            f"{source.old_until:%Y-%m-%d %H:%M}" if source.old_until else "-",
            f"{source.created_at:%Y-%m-%d %H:%M}",
            f"{source.revoked_at:%Y-%m-%d %H:%M}" if source.revoked_at else "-",
        )
    print_table(table)


@app.command()
def rotate(
    name: OldName,
    *,
    secret: Secret,
    hours: Hours = 24,
) -> None:
    """Give a source a new secret. Do it before the provider uses it; the old one is taken for a while."""
    listed = {source.name: source.provider for source in with_database(store.active)}
    if name not in listed:
        refuse_unknown("source", name)
    read = _secret(secret, listed[name])
    if not with_database(lambda db: store.rotate(db, name, secret=read, overlap=timedelta(hours=hours))):
        refuse_unknown("source", name)
    print(f"{name} has a new secret; the old one is taken for {hours} hours more")


@app.command()
def revoke(name: OldName) -> None:
    """End a source for ever, and forget its secrets. What it sent stays."""
    if not with_database(lambda db: store.revoke(db, name)):
        refuse_unknown("source", name)
    print(f"{name} is revoked; collectors refuse it within seconds")


def _providers() -> list[str]:
    from services.ingest.providers import PROVIDERS

    return list(PROVIDERS)


def _secret(given: str, provider: str) -> str:
    """The secret, also from standard input, where it leaves no trace in a shell's history."""
    from services.ingest.providers import PROVIDERS

    secret = (sys.stdin.readline(SECRET_MAX + 2) if given == "-" else given).strip()
    flaw = None
    if not secret or len(secret) > SECRET_MAX or not secret.isprintable():
        flaw = f"1 to {SECRET_MAX} characters that can be printed"
    elif provider in PROVIDERS:
        flaw = PROVIDERS[provider].secret_flaw(secret)
    if flaw is not None:
        raise typer.BadParameter(flaw, param_hint="--secret")
    return secret


def _shown(secret: str) -> str:
    if not secret:
        return "-"
    return f"…{secret[-SHOWN_OF_SECRET:]}" if len(secret) >= 4 * SHOWN_OF_SECRET else "…"
