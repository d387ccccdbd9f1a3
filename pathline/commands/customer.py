"""`pathline customer`: who somebody is and why, and an operator's word on it."""

import getpass
import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO
from uuid import UUID

import msgspec
import typer

from pathline.commands.database import with_database
from pathline.commands.plain import plain
from pathline.commands.tables import new_table, print_table
from pathline.commands.trouble import about_file
from pathline.contracts.words import ActOut, KinHistory, ProposalOut
from pathline.domain.alerts import ALIVE
from pathline.domain.identifiers import PERSON_KINDS, THING_KINDS
from pathline.domain.words import MAX_REASON, Impossible, Said
from pathline.storage import alerts, customers, people, touchpoints, words
from pathline.storage.customers import Whole

if TYPE_CHECKING:
    from pathline.storage.connection import Db
    from pathline.storage.words import Outcome

FAILED: Final = 1
LIMIT_MOST: Final = 1_000
PAGE: Final = 1_000
"""Touchpoints, alerts or acts that an export reads at a time."""
ACT_MOST: Final = 2**63 - 1
REASON_SHOWN: Final = 60

Name = Annotated[
    str,
    typer.Argument(
        metavar="IDENTIFIER",
        help="user_id:42, email:ann@example.com, order:1001, …; a customer's id; or a value alone.",
    ),
]
Reason = Annotated[str, typer.Option(help=f"Why; it is kept. At most {MAX_REASON} characters.")]
Actor = Annotated[str | None, typer.Option("--as", help="Who says so; without it this system's user.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

app = typer.Typer(help="Customers: who is whom and why; split, merge, export, erase.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    # It adds a command to the group, and stands on what is here.
    importlib.import_module("pathline.commands.erasing")
    parent.add_typer(app, name="customer", rich_help_panel="Data")


@app.command()
def show(name: Name, *, as_json: Json = False) -> None:
    """A customer, found by any name or thing that is theirs."""

    async def read(db: "Db") -> dict[str, Any]:
        whole = await customers.whole(db, await customer_of(db, name))
        return await _told(db, whole)

    told = with_database(read)
    if as_json:
        print_json(told)
        return
    for field in ("id", "name", "first_seen_at", "last_seen_at", "touchpoints", "open_alerts"):
        print(f"{field.replace('_', ' '):<14} {plain(_said(told[field]))}")
    for one in told["identifiers"]:
        print(f"{'identifier':<14} {plain(one['kind'])}:{plain(one['value'])}")
    for one in told["things"]:
        print(f"{'thing':<14} {plain(one['kind'])}:{plain(one['value'])}")
    if told["truncated"]:
        typer.echo("there is more than is read at a time", err=True)


@app.command()
def history(
    name: Name,
    *,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MOST, help="So many acts, at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Why each identifier is this customer's, and what operators did about it, the newest first."""

    async def read(db: "Db") -> KinHistory:
        return await _history(db, await customer_of(db, name), None, limit)

    told = with_database(read)
    if as_json:
        print_json(told)
        return
    links = new_table("identifier", "belongs to", "says", "touchpoints say", "by", "next best")
    for link in told.links:
        links.add_row(
            _name(link.identifier), _name(link.parent), link.why, _name(link.inferred and link.inferred.parent),
            _source(link.inferred), _name(link.runner_up and link.runner_up.parent),
        )  # fmt: skip
    print_table(links)
    if told.joins:
        joins = new_table("one person", "and", "holds", "alias by", "act")
        for join in told.joins:
            joins.add_row(
                _name(join.a), _name(join.b), "yes" if join.holds else "no", _source(join.alias), _said(join.act)
            )
        print_table(joins)
    if told.acts:
        acts = new_table("act", "at", "what", "who", "with", "by", "from", "holds", "reason")
        for act in told.acts:
            acts.add_row(*_cells(act))
        print_table(acts)


@app.command()
def split(
    name: Name,
    *,
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="A stronger identifier that it belongs to instead.")] = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Take an identifier from its customer, with what hangs on it. It holds whatever touchpoints say."""

    async def say(db: "Db", said: Said) -> "Outcome":
        return await words.split(db, await _person(db, name), None if to is None else await _person(db, to), said)

    _say(say, reason, actor, as_json=as_json)


@app.command()
def merge(
    name: Name,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="As IDENTIFIER.")],
    *,
    reason: Reason,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Make one customer of two. It holds whatever touchpoints say."""

    async def say(db: "Db", said: Said) -> "Outcome":
        return await words.merge(db, await _person(db, name), await _person(db, other), said)

    _say(say, reason, actor, as_json=as_json)


@app.command("take-back")
def take_back(
    act: Annotated[int, typer.Argument(metavar="ACT", min=1, max=ACT_MOST, help="As `history` shows it.")],
    *,
    reason: Reason,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Take back what an act said: what touchpoints say holds again."""

    async def say(db: "Db", said: Said) -> "Outcome":
        return await words.take_back(db, act, said)

    _say(say, reason, actor, as_json=as_json)


@app.command()
def export(name: Name, *, out: Annotated[str, typer.Option(help="Where to; - is standard output.")] = "-") -> None:
    """All that is kept of a customer, a JSON object a line: what they are, what they own, did, and what was said."""

    async def write(db: "Db") -> None:
        root = await customer_of(db, name)
        with _opened(out) as file:
            async for kind, value in _all_of(db, root):
                file.write(f'{{"{kind}":{msgspec.json.encode(value).decode()}}}\n')

    try:
        with_database(write)
    except OSError as problem:
        if problem.filename != out:
            raise
        fail(about_file(problem), "no_file")


def _say(work: Callable[["Db", Said], Awaitable["Outcome"]], reason: str, actor: str | None, *, as_json: bool) -> None:
    said = Said(_line(actor or getpass.getuser(), "--as"), "command", _line(reason, "--reason"))

    async def run(db: "Db") -> ActOut | None:
        from services.console import kin

        outcome = await work(db, said)
        if isinstance(outcome, Impossible):
            fail(outcome.message, outcome.code)
        return None if outcome.act is None else (await kin.acts_out(db, [outcome.act]))[0]

    act = with_database(run)
    if as_json:
        print_json({"changed": act is not None, "act": act})
    elif act is None:
        print("that is so already")
    else:
        print(f"act {act.id}: {_name(act.subject)} was of {act.left} and is of {act.joined}")


async def _history(db: "Db", root: UUID, before: int | None, limit: int) -> KinHistory:
    # Here, because the other commands need nothing of the console, and it takes a moment to import.
    from services.console import kin

    return await kin.history(db, await people.family(db, root), before=before, limit=limit)


async def customer_of(db: "Db", given: str) -> UUID:
    """The customer that is meant, by a name, a thing or an id. Ends the command where there is none."""
    one = await _find(db, given, (*PERSON_KINDS, *THING_KINDS))
    root = None if one is None else await customers.resolve(db, one)
    if root is None:
        fail("nobody is known by that identifier", "customer_not_found")
    return root


async def _person(db: "Db", given: str) -> UUID:
    """The identifier of a person that is meant."""
    one = await _find(db, given, PERSON_KINDS)
    if one is None:
        fail("nobody is known by that identifier", "identifier_not_found")
    return one


async def _find(db: "Db", given: str, kinds: Collection[str]) -> UUID | None:
    """Of a person the identifier, of a thing its owner. A value alone is tried as every kind, the strongest first."""
    try:
        return UUID(given)
    except ValueError:
        pass
    kind, colon, value = given.partition(":")
    tried = [(kind, value)] if colon and kind in kinds else [(each, given) for each in kinds]
    for each, text in tried:
        if each in PERSON_KINDS:
            ids = await people.lookup_ids(db, each, text)
            known = await people.load(db, ids)
            found = next((one for one in ids if one in known), None)
        else:
            found = await customers.lookup(db, each, text)
        if found is not None:
            return found
    return None


async def _told(db: "Db", whole: Whole) -> dict[str, Any]:
    states = list(whole.states)
    alive = await alerts.list_alerts(db, state=sorted(ALIVE), subjects=whole.alertable, limit=PAGE)
    return {
        "id": str(whole.id),
        "name": customers.name_of(whole.strands.values()),
        "identifiers": [_identifier(person.identifier) for person in whole.family.people.values()],
        "first_seen_at": min((s.first_seen_at for s in states if s.first_seen_at is not None), default=None),
        "last_seen_at": max((s.last_seen_at for s in states if s.last_seen_at is not None), default=None),
        "touchpoints": sum(state.count for state in states),
        "open_alerts": len(alive),
        "things": [_identifier(thing.identifier) for thing in whole.things],
        "truncated": whole.truncated,
    }


def _identifier(name: Any) -> dict[str, str]:
    return {"namespace": name.namespace, "kind": name.kind, "value": name.value}


def _opened(out: str) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdout) if out == "-" else Path(out).open("w", encoding="utf-8")


async def _all_of(db: "Db", root: UUID) -> AsyncIterator[tuple[str, Any]]:
    from services.console import shapes

    whole = await customers.whole(db, root)
    yield "customer", await _told(db, whole)
    async for one in _kin_of(db, root):
        yield one
    for thing in whole.things:
        yield "thing", {**_identifier(thing.identifier), "facts": thing.state}
    after = None
    while rows := await touchpoints.page(db, whole.subjects, after, PAGE):
        for row in rows:
            yield "touchpoint", shapes.touchpoint(row)
        after = rows[-1].cursor
    place = None
    while found := await alerts.list_alerts(db, subjects=whole.alertable, shadow=None, limit=PAGE, cursor=place):
        for alert in found:
            yield "alert", shapes.alert(alert, {alert.id: root})
        place = alerts.cursor_of(found[-1])


async def _kin_of(db: "Db", root: UUID) -> AsyncIterator[tuple[str, Any]]:
    page = await _history(db, root, None, PAGE)
    for link in page.links:
        yield "link", link
    for join in page.joins:
        yield "join", join
    while True:
        for act in page.acts:
            yield "act", act
        if page.next is None:
            break
        page = await _history(db, root, int(page.next), PAGE)


def _cells(act: ActOut) -> Iterable[str]:
    what = act.kind if act.takes_back is None else f"took back {act.takes_back}"
    return (
        str(act.id), f"{act.at:%Y-%m-%d %H:%M:%S}", what, _name(act.subject), _name(act.other), plain(act.actor),
        act.origin, "yes" if act.in_force else "no", plain(act.reason[:REASON_SHOWN]),
    )  # fmt: skip


def _name(name: Any) -> str:
    return "-" if name is None else f"{name.kind}:{plain(name.value)}"


def _source(proposal: ProposalOut | None) -> str:
    if proposal is None:
        return "-"
    return plain(f"{proposal.source}/{proposal.message_id} {proposal.occurred_at:%Y-%m-%d %H:%M:%S}")


def _said(value: object) -> str:
    return "-" if value is None else str(value)


def _line(text: str, option: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not 0 < len(line) <= MAX_REASON:
        message = f"1 to {MAX_REASON} characters"
        raise typer.BadParameter(message, param_hint=option)
    return line


def print_json(told: Any) -> None:
    """Print it as one line of JSON."""
    print(msgspec.json.encode(told).decode())


def fail(message: str, code: str) -> NoReturn:
    """End the command with a message and its stable code."""
    typer.echo(f"pathline: {message} [{code}]", err=True)
    raise typer.Exit(FAILED)
