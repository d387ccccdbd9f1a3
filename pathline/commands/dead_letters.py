"""`pathline dead-letters`: what could not be used, why, and once more."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import msgspec
import typer

from pathline.commands.database import with_database
from pathline.commands.plain import plain, plain_bytes
from pathline.commands.tables import new_table, print_table
from pathline.commands.trouble import about_file
from pathline.contracts.letters import headers_from_json
from pathline.storage import letters
from pathline.storage.letters import Line, Row

if TYPE_CHECKING:
    from pathline.commands.replaying import Verdict

SHOWN_BYTES: Final = 4_096
"""Bytes of a letter that `show` prints; `--raw` gives all."""

MESSAGE_SHOWN: Final = 80
LIMIT_MOST: Final = 10_000
MENDED_MOST: Final = 1_000_000
"""Bytes of a mended letter: what fits into a record."""

NOT_ALL: Final = 1
ID_MOST: Final = 2**63 - 1

Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=ID_MOST, help="As `list` shows it.")]
Code = Annotated[str | None, typer.Option(help="Those with this code.")]
Source = Annotated[str | None, typer.Option(help="Those that this write key sent, by its name.")]
Json = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]

app = typer.Typer(help="What could not be used: list, show, replay.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="dead-letters", rich_help_panel="Data")


@app.command("list")
def list_newest(
    *,
    code: Code = None,
    source: Source = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MOST, help="So many, at most.")] = 100,
    as_json: Json = False,
) -> None:
    """The newest first."""
    found = with_database(lambda db: letters.newest(db, code=code, source=source, most=limit))
    if as_json:
        for line in found:
            _print_json(line._asdict())
    else:
        table = new_table("id", "found", "by", "source", "code", "bytes", "replayed", "message")
        for line in found:
            table.add_row(*_cells(line))
        print_table(table)
    if len(found) == limit:
        typer.echo(f"the newest {limit}; there may be more, see --limit", err=True)


@app.command()
def show(
    letter: Id,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Its bytes alone, as they were sent.")] = False,
    as_json: Json = False,
) -> None:
    """One letter, with the beginning of what it holds."""
    rows = with_database(lambda db: letters.load(db, [letter]))
    if not rows:
        _fail(f"there is no dead letter {letter}", "not_found")
    (row,) = rows
    if raw:
        _write_raw(row.value or b"")
    elif as_json:
        _print_json(_told(row))
    else:
        _print_letter(row)


@app.command()
def replay(
    chosen: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", min=1, max=ID_MOST, help="As `list` shows them.")
    ] = None,
    *,
    code: Code = None,
    source: Source = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were never replayed.")] = False,
    mended: Annotated[
        str | None, typer.Option("--with", help="Send this file in the place of its bytes; - is standard input.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say which would be accepted.")] = False,
    as_json: Json = False,
) -> None:
    """Put letters where they were to go, if they are accepted today. A letter counts once, however often it is sent."""
    # Here, because the other commands need none of the collector, and it takes a moment to import.
    from pathline.commands.replaying import Choice, run

    ids = sorted(set(chosen or ()))
    if bool(ids) == bool(everything or code is not None or source is not None):
        message = "give ids, or --code, --source or --all for those that were never replayed"
        raise typer.BadParameter(message, param_hint="[ID]...")
    if mended is not None and len(ids) != 1:
        message = "a file mends one letter: give its id"
        raise typer.BadParameter(message, param_hint="--with")
    choice = Choice(ids, code, source, _read(mended) if mended is not None else None)
    tally = asyncio.run(run(choice, check=check, tell=_tell_json if as_json else _tell))
    done = "would be accepted" if check else "replayed"
    typer.echo(f"{tally.sent} {done}, {tally.refused} not", err=True)
    raise typer.Exit(NOT_ALL if tally.refused else 0)


def _tell(verdict: "Verdict") -> None:
    why = "" if verdict.code is None else f": {plain(verdict.message or '')} [{plain(verdict.code)}]"
    print(f"{verdict.id} {verdict.outcome}{why}")


def _tell_json(verdict: "Verdict") -> None:
    _print_json({name: value for name, value in verdict._asdict().items() if value is not None})


def _cells(line: Line) -> Iterable[str]:
    return (
        str(line.id),
        f"{line.created_at:%Y-%m-%d %H:%M:%S}",
        plain(line.stage),
        plain(line.source or "-"),
        plain(line.code),
        str(line.bytes),
        f"{line.replayed_at:%Y-%m-%d %H:%M}" if line.replayed_at else "-",
        plain(line.message[:MESSAGE_SHOWN]),
    )


def _print_letter(row: Row) -> None:
    value = row.value or b""
    told = {
        "id": str(row.id),
        "found": f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC by the {row.stage}",
        "lies at": f"{row.topic}/{row.partition}/{row.offset}",
        "source": row.source,
        "namespace": row.namespace,
        "received": f"{row.received_at:%Y-%m-%d %H:%M:%S} UTC" if row.received_at else None,
        "code": row.code,
        "message": row.message,
        "replayed": f"{row.replayed_at:%Y-%m-%d %H:%M:%S} UTC" if row.replayed_at else "never",
        "key": None if row.key is None else plain_bytes(row.key[:SHOWN_BYTES]),
        "bytes": f"{row.size}, the first {len(value)} of them kept" if row.size is not None else str(len(value)),
    }
    for name, text in told.items():
        if text is not None:
            print(f"{name:<10} {plain(text)}")
    for name, header in headers_from_json(row.headers):
        print(f"{'header':<10} {plain(name)}: {plain_bytes((header or b'')[:SHOWN_BYTES])}")
    print()
    # Each line is marked, so that nothing sent can look like a line of ours.
    for text in plain_bytes(value[:SHOWN_BYTES], lines=True).split("\n"):
        print(f"| {text}")
    if len(value) > SHOWN_BYTES:
        print(f"{len(value) - SHOWN_BYTES} bytes more; --raw gives all")


def _told(row: Row) -> dict[str, object]:
    """A letter as JSON, its bytes as text where they are text."""
    told = row._asdict()
    told["headers"] = msgspec.json.decode(row.headers)
    for name in ("key", "value"):
        given = told.pop(name)
        try:
            told[name] = None if given is None else given.decode()
        except UnicodeDecodeError:
            told[f"{name}_base64"] = given
    return told


def _write_raw(value: bytes) -> None:
    """To a file or a pipe as they are; a terminal would obey what it is sent."""
    if sys.stdout.isatty():
        print(plain_bytes(value, lines=True))
    else:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()


def _print_json(told: dict[str, Any]) -> None:
    print(msgspec.json.encode(told).decode())


def _read(path: str) -> bytes:
    try:
        if path == "-":
            given = sys.stdin.buffer.read(MENDED_MOST + 1)
        else:
            with Path(path).open("rb") as file:
                given = file.read(MENDED_MOST + 1)
    except OSError as problem:
        _fail(about_file(problem, read=[path]), "no_file")
    if len(given) > MENDED_MOST:
        _fail(f"a letter has at most {MENDED_MOST:,} bytes", "too_large")
    # An editor ends a file with a line; a record has none.
    return given.rstrip(b"\r\n")


def _fail(message: str, code: str) -> NoReturn:
    typer.echo(f"pathline: {message} [{code}]", err=True)
    raise typer.Exit(NOT_ALL)
