"""`pathline keys`: the write keys with which sites, apps and servers send, and what each may send."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import asyncpg
import msgspec
import typer

from pathline.commands.tables import new_table, print_table
from pathline.kit.settings import Settings
from pathline.storage import keys as store
from pathline.storage.keys import Policy, WriteKey

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
ORIGIN_PATTERN = re.compile(r"https?://(?:\*\.)?[a-z0-9.-]+(?::[0-9]{1,5})?")
LIST_MAX = 100
"""Origins, or events, of one key."""
EVENT_NAME_MAX = 200
RATE_MAX = 1_000_000
BYTES_MAX = 16_777_216
OVERLAP_HOURS_MAX = 24 * 30

Name = Annotated[str, typer.Argument(help="What it is for, as it is shown: shop-web, till-7.")]
OldName = Annotated[str, typer.Argument(help="The key's name, as `pathline keys list` shows it.")]
Origin = Annotated[
    list[str] | None,
    typer.Option(help="A site that may use it: https://shop.example or https://*.shop.example; repeat it. '' is any."),
]
Event = Annotated[
    list[str] | None, typer.Option(help="An event that its track calls may have; repeat it. '' is any.")
]  # fmt: skip
Rate = Annotated[int | None, typer.Option(min=0, max=RATE_MAX, help="Calls a second in the long run; 0: no limit.")]
Burst = Annotated[int | None, typer.Option(min=0, max=RATE_MAX, help="Calls at once; 0: ten seconds' worth.")]
BodyBytes = Annotated[int | None, typer.Option(min=0, max=BYTES_MAX, help="Bytes of a body; 0: the collector's limit.")]
CallBytes = Annotated[int | None, typer.Option(min=0, max=BYTES_MAX, help="Bytes of a call; 0: the collector's limit.")]
BatchCalls = Annotated[int | None, typer.Option(min=0, max=10_000, help="Calls of a batch; 0: the collector's limit.")]
Ip = Annotated[
    str | None,
    typer.Option(help="What is kept of context.ip: full, truncated, none. A browser key's default is truncated."),
]
Gpc = Annotated[
    str | None,
    typer.Option(help="Calls of browsers that send Global Privacy Control: note (keep, with a mark) or refuse."),
]
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
    origin: Origin = None,
    event: Event = None,
    rate: Rate = None,
    burst: Burst = None,
    body_bytes: BodyBytes = None,
    call_bytes: CallBytes = None,
    batch_calls: BatchCalls = None,
    ip: Ip = None,
    gpc: Gpc = None,
) -> None:
    """Make a key and print it; this is what senders put before the colon."""
    if kind not in store.KINDS:
        message = "browser or server"
        raise typer.BadParameter(message, param_hint="--kind")
    for value, hint in ((name, "NAME"), (namespace, "--namespace")):
        if not NAME_PATTERN.fullmatch(value):
            message = "small letters, digits, dot, dash and underscore, at most 63"
            raise typer.BadParameter(message, param_hint=hint)
    policy = _changed(Policy(), origin, event, rate, burst, body_bytes, call_bytes, batch_calls, ip, gpc)
    key = _secret(kind)
    made = _with_database(
        lambda db: store.create(db, name=name, key=key, kind=kind, namespace=namespace, policy=policy)
    )  # fmt: skip
    if made is None:
        typer.echo(f"pathline: there is a key named {name} already [name_taken]", err=True)
        raise typer.Exit(1)
    print(made.key)


@app.command("set")
def set_policy(
    name: OldName,
    *,
    origin: Origin = None,
    event: Event = None,
    rate: Rate = None,
    burst: Burst = None,
    body_bytes: BodyBytes = None,
    call_bytes: CallBytes = None,
    batch_calls: BatchCalls = None,
    ip: Ip = None,
    gpc: Gpc = None,
) -> None:
    """Change what a key may send: what is given, and nothing else. Collectors know it within seconds."""

    async def change(db: Any) -> Policy | None:
        key = await store.find(db, name)
        if key is None:
            return None
        policy = _changed(key.policy, origin, event, rate, burst, body_bytes, call_bytes, batch_calls, ip, gpc)
        await store.set_policy(db, name, policy)
        return policy

    policy = _with_database(change)
    if policy is None:
        raise _not_found(name)
    print(f"{name}: {_said(policy)}")


@app.command("list")
def list_all() -> None:
    """Every key; a browser's in full, since it is public, a server's by its first letters."""
    table = new_table("name", "kind", "namespace", "key", "from", "made", "revoked", "policy")
    for key in _with_database(store.list_all):
        table.add_row(
            key.name,
            key.kind,
            key.namespace,
            key.key if key.kind == "browser" or key.loopback_only else f"{key.key[:8]}…",
            "this machine" if key.loopback_only else "anywhere",
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "-",
            _said(key.policy),
        )
    print_table(table)


@app.command()
def rotate(
    name: OldName,
    *,
    hours: Annotated[
        int, typer.Option("--for", min=0, max=OVERLAP_HOURS_MAX, help="Hours for which the old one is taken, too.")
    ] = 24,
) -> None:
    """Give a key a new secret and print it. What it sends is the same sender's, so nothing is counted twice."""

    async def change(db: Any) -> str | None:
        key: WriteKey | None = await store.find(db, name)
        if key is None:
            return None
        new = _secret(key.kind)
        return new if await store.rotate(db, name, key=new, overlap=timedelta(hours=hours)) else None

    new = _with_database(change)
    if new is None:
        raise _not_found(name)
    print(new)


@app.command()
def revoke(name: OldName) -> None:
    """End a key for ever, with the secret before its rotation. What it sent stays."""
    if not _with_database(lambda db: store.revoke(db, name)):
        raise _not_found(name)
    print(f"{name} is revoked; collectors refuse it within seconds")


def _changed(
    policy: Policy,
    origin: list[str] | None,
    event: list[str] | None,
    rate: int | None,
    burst: int | None,
    body_bytes: int | None,
    call_bytes: int | None,
    batch_calls: int | None,
    ip: str | None,
    gpc: str | None,
) -> Policy:
    """The policy with what was given in place of what it says."""
    given: dict[str, Any] = {
        "origins": None if origin is None else _listed(origin, "--origin", ORIGIN_PATTERN.fullmatch),
        "events": None if event is None else _listed(event, "--event", lambda name: len(name) <= EVENT_NAME_MAX),
        "calls_per_second": rate,
        "burst": burst,
        "body_bytes_max": body_bytes,
        "call_bytes_max": call_bytes,
        "batch_calls_max": batch_calls,
        "addresses": _one_of(ip, store.ADDRESSES, "--ip"),
        "privacy_signal": _one_of(gpc, store.PRIVACY_SIGNALS, "--gpc"),
    }
    changed = msgspec.structs.replace(policy, **{name: value for name, value in given.items() if value is not None})
    if changed.burst and not changed.calls_per_second:
        message = "says nothing without --rate"
        raise typer.BadParameter(message, param_hint="--burst")
    return changed


def _listed(given: list[str], hint: str, fits: Callable[[str], Any]) -> tuple[str, ...]:
    listed = tuple(dict.fromkeys(one.strip() for one in given if one.strip()))
    if len(listed) > LIST_MAX:
        message = f"at most {LIST_MAX}"
        raise typer.BadParameter(message, param_hint=hint)
    for one in listed:
        if not fits(one):
            message = f"{one[:100]!r} is none; an origin is https://shop.example or https://*.shop.example"
            raise typer.BadParameter(message if hint == "--origin" else "too long a name", param_hint=hint)
    return listed


def _one_of(given: str | None, names: tuple[str, ...], hint: str) -> str | None:
    if given is not None and given not in names:
        raise typer.BadParameter(" or ".join(names), param_hint=hint)
    return given


def _said(policy: Policy) -> str:
    """The policy in a line; `-` where it adds nothing to the key's kind."""
    said = {name: value for name, value in msgspec.to_builtins(policy).items() if value not in (None, 0, (), "note")}
    return (
        ", ".join(
            f"{name} {' '.join(value) if isinstance(value, list | tuple) else value}" for name, value in said.items()
        )
        or "-"
    )


def _secret(kind: str) -> str:
    return f"pl{kind[0]}_{secrets.token_urlsafe(24)}"


def _not_found(name: str) -> typer.Exit:
    typer.echo(f"pathline: no key named {name} is in use [not_found]", err=True)
    return typer.Exit(1)


def _with_database(work: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(Settings.load().dsn(), timeout=10)
        try:
            async with connection.transaction():
                return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
