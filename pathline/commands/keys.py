"""`pathline keys`: the write keys with which sites, apps and servers send, and what each may send."""

import functools
import inspect
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from pathline.commands.database import with_database
from pathline.commands.senders import Hours, Namespace, check_names, refuse_taken, refuse_unknown
from pathline.commands.tables import new_table, print_table
from pathline.storage import keys as store
from pathline.storage.keys import Policy, WriteKey

ORIGIN_PATTERN = re.compile(r"(https?)(://(?:\*\.)?[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}
"""Browsers leave these out of an origin."""
PORT_MAX = 65_535
LIST_MAX = 100
"""Origins, or events, of one key."""
EVENT_NAME_MAX = 200
RATE_MAX = 1_000_000
BYTES_MAX = 16_777_216

Name = Annotated[str, typer.Argument(help="What it is for, as it is shown: shop-web, till-7.")]
OldName = Annotated[str, typer.Argument(help="The key's name, as `pathline keys list` shows it.")]


class Options(NamedTuple):
    """What the command line says of a policy; None: nothing."""

    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="A site that may use it: https://shop.example or https://*.shop.example; repeat it. '' is any."
        ),
    ] = None
    event: Annotated[
        list[str] | None, typer.Option(help="An event that its track calls may have; repeat it. '' is any.")
    ] = None
    rate: Annotated[
        int | None, typer.Option(min=0, max=RATE_MAX, help="Calls a second in the long run; 0: no limit.")
    ] = None
    burst: Annotated[int | None, typer.Option(min=0, max=RATE_MAX, help="Calls at once; 0: ten seconds' worth.")] = None
    body_bytes: Annotated[
        int | None, typer.Option(min=0, max=BYTES_MAX, help="Bytes of a body; 0: the collector's limit.")
    ] = None
    call_bytes: Annotated[
        int | None, typer.Option(min=0, max=BYTES_MAX, help="Bytes of a call; 0: the collector's limit.")
    ] = None
    batch_calls: Annotated[
        int | None, typer.Option(min=0, max=10_000, help="Calls of a batch; 0: the collector's limit.")
    ] = None
    ip: Annotated[
        str | None,
        typer.Option(help="What is kept of context.ip: full, truncated, none. A browser key's default is truncated."),
    ] = None
    gpc: Annotated[
        str | None,
        typer.Option(help="Calls of browsers that send Global Privacy Control: note (keep, with a mark) or refuse."),
    ] = None


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `options` is an option of the command line for each field."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in Options._fields})
        command(**given, options=options)

    own = [one for one in inspect.signature(command).parameters.values() if one.name != "options"]
    shown = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in Options.__annotations__.items()
    ]
    # Typer reads both.
    run.__signature__ = inspect.Signature([*own, *shown])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *shown)}
    return run


app = typer.Typer(help="Write keys.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="keys", rich_help_panel="Data")


@app.command()
@with_options
def create(
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="browser: public, acts and identify only; server: secret, may send all.")],
    namespace: Namespace = "default",
    options: Options,
) -> None:
    """Make a key and print it; this is what senders put before the colon."""
    if kind not in store.KINDS:
        message = "browser or server"
        raise typer.BadParameter(message, param_hint="--kind")
    check_names(name, namespace)
    policy = _changed(Policy(), options)
    key = _secret(kind)
    made = with_database(
        lambda db: store.create(db, name=name, key=key, kind=kind, namespace=namespace, policy=policy)
    )  # fmt: skip
    if made is None:
        refuse_taken("key", name)
    print(made.key)


@app.command("set")
@with_options
def set_policy(name: OldName, *, options: Options) -> None:
    """Change what a key may send: what is given, and nothing else. Collectors know it within seconds."""

    async def change(db: Any) -> Policy | None:
        key = await store.find(db, name)
        if key is None:
            return None
        if key.policy is None:
            typer.echo(f"pathline: a newer version set what {name} may send; change it there [newer_policy]", err=True)
            raise typer.Exit(1)
        policy = _changed(key.policy, options)
        await store.set_policy(db, name, policy)
        return policy

    policy = with_database(change)
    if policy is None:
        refuse_unknown("key", name)
    print(f"{name}: {_said(policy)}")


@app.command("list")
def list_all() -> None:
    """Every key; a browser's in full, since it is public, a server's by its first letters. Times are UTC."""
    table = new_table("name", "kind", "namespace", "key", "old key until", "from", "made", "revoked", "policy")
    for key in with_database(store.list_all):
        table.add_row(
            key.name,
            key.kind,
            key.namespace,
            key.key if key.kind == "browser" or key.key == key.name else f"{key.key[:8]}…",
            f"{key.old_until:%Y-%m-%d %H:%M}" if key.old_until and not key.revoked_at else "-",
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
    hours: Hours = 24,
    at_once: Annotated[bool, typer.Option("--at-once", help="End the secret before the last rotation now.")] = False,
) -> None:
    """Give a key a new secret and print it. What it sends is the same sender's, so nothing is counted twice."""

    async def change(db: Any) -> str | None:
        key: WriteKey | None = await store.find(db, name)
        if key is None:
            return None
        if not at_once and key.old_until is not None and key.old_until > datetime.now(UTC):
            until = f"{key.old_until:%Y-%m-%d %H:%M} UTC"
            message = f"the secret before the last rotation is promised until {until}; --at-once ends it now"
            typer.echo(f"pathline: {message} [rotation_under_way]", err=True)
            raise typer.Exit(1)
        new = _secret(key.kind)
        return new if await store.rotate(db, name, key=new, overlap=timedelta(hours=hours)) else None

    new = with_database(change)
    if new is None:
        refuse_unknown("key", name)
    print(new)


@app.command()
def revoke(name: OldName) -> None:
    """End a key for ever, with the secret before its rotation. What it sent stays."""
    if not with_database(lambda db: store.revoke(db, name)):
        refuse_unknown("key", name)
    print(f"{name} is revoked; collectors refuse it within seconds")


def _changed(policy: Policy, options: Options) -> Policy:
    """The policy with what was given in place of what it says."""
    given: dict[str, Any] = {
        "origins": None if options.origin is None else _origins(options.origin),
        "events": None if options.event is None else _events(options.event),
        "calls_per_second": options.rate,
        "burst": options.burst,
        "body_bytes_max": options.body_bytes,
        "call_bytes_max": options.call_bytes,
        "batch_calls_max": options.batch_calls,
        "addresses": _one_of(options.ip, store.ADDRESSES, "--ip"),
        "privacy_signal": _one_of(options.gpc, store.PRIVACY_SIGNALS, "--gpc"),
    }
    changed = msgspec.structs.replace(policy, **{name: value for name, value in given.items() if value is not None})
    if changed.burst and not changed.calls_per_second:
        message = "says nothing without --rate"
        raise typer.BadParameter(message, param_hint="--burst")
    return changed


def _origins(given: list[str]) -> tuple[str, ...]:
    """The sites, as browsers write them: without the port that their scheme has anyway."""
    sites = []
    for one in _listed(given, "--origin"):
        found = ORIGIN_PATTERN.fullmatch(one)
        if found is None or int(found[3] or 0) > PORT_MAX:
            message = f"{one[:100]!r} is none; an origin is https://shop.example or https://*.shop.example"
            raise typer.BadParameter(message, param_hint="--origin")
        sites.append(found[1] + found[2] if found[3] == DEFAULT_PORTS[found[1]] else one)
    return tuple(dict.fromkeys(sites))


def _events(given: list[str]) -> tuple[str, ...]:
    names = _listed(given, "--event")
    if any(len(name) > EVENT_NAME_MAX for name in names):
        message = "too long a name"
        raise typer.BadParameter(message, param_hint="--event")
    return names


def _listed(given: list[str], hint: str) -> tuple[str, ...]:
    listed = tuple(dict.fromkeys(one.strip() for one in given if one.strip()))
    if len(listed) > LIST_MAX:
        message = f"at most {LIST_MAX}"
        raise typer.BadParameter(message, param_hint=hint)
    return listed


def _one_of(given: str | None, names: tuple[str, ...], hint: str) -> str | None:
    if given is not None and given not in names:
        raise typer.BadParameter(" or ".join(names), param_hint=hint)
    return given


def _said(policy: Policy | None) -> str:
    """The policy in a line; `-` where it adds nothing to the key's kind."""
    if policy is None:
        return "set by a newer version"
    said = {name: value for name, value in msgspec.to_builtins(policy).items() if value not in (None, 0, (), "note")}
    return (
        ", ".join(
            f"{name} {' '.join(value) if isinstance(value, list | tuple) else value}" for name, value in said.items()
        )
        or "-"
    )


def _secret(kind: str) -> str:
    return f"pl{kind[0]}_{secrets.token_urlsafe(24)}"
