"""`pathline customer erase`: everything that is kept of a person, for a privacy request."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import asyncpg
import msgspec
import typer

from pathline.commands.customer import Json, Name, app, customer_of, fail, print_json
from pathline.commands.database import with_database
from pathline.commands.plain import plain
from pathline.contracts import hint
from pathline.contracts.hint import Hint
from pathline.domain.erasing import Sought
from pathline.domain.identifiers import Identifier
from pathline.storage import customers, erasing, rebuilding
from pathline.storage.customers import Whole
from pathline.storage.erasing import Erased, Letter, TooLargeError

if TYPE_CHECKING:
    from pathline.storage.connection import Db

NOBODY: Final = UUID(int=0)

Names = dict[UUID, Identifier]


@app.command()
def erase(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. There is no way back.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a customer for good: names, journey, things, alerts, and what could not be used but names them.

    What lies in Kafka goes with its retention, what is in backups with these: docs/erasing.md.
    """
    whole = with_database(lambda db: _whole(db, name))
    if not yes:
        shown = ", ".join(f"{p.identifier.kind}:{plain(p.identifier.value)}" for p in whole.family.people.values())
        typer.confirm(f"Erase the customer known as {shown} for good?", abort=True, err=True)
    names = _names(whole)
    letters, last = with_database(lambda db: _sweep(db, names, 0))
    with_database(lambda db: _next_best(db, names))
    try:
        erased = with_database(lambda db: _erase(db, whole.id))
    except TooLargeError:
        fail("there is more of this customer than is erased at a time", "too_large")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        fail("somebody works on this customer for too long; nothing of the journey is erased, try again", "busy")
    more = {one: named for one, named in erased.names.items() if one not in names}
    # What came meanwhile; and all of it for names that were too many to be read before.
    late, _ = with_database(lambda db: _sweep(db, erased.names, 0 if more else last))
    if more:
        with_database(lambda db: _next_best(db, more))
    if letters + late:
        erased.rows["dead_letter"] = letters + late
    _tell(whole.id, erased, as_json=as_json)


async def _whole(db: Db, name: str) -> Whole:
    if await rebuilding.unfinished(db) is not None:
        fail("journeys are being rebuilt; wait for its end, or cancel it", "rebuild_under_way")
    return await customers.whole(db, await customer_of(db, name))


def _names(whole: Whole) -> Names:
    found = {one: person.identifier for one, person in whole.family.people.items()}
    return found | {thing.id: thing.identifier for thing in whole.things}


async def _erase(db: Db, root: UUID) -> Erased:
    await erasing.hold(db)
    if await rebuilding.unfinished(db) is not None:
        fail("journeys are being rebuilt; wait for its end, or cancel it", "rebuild_under_way")
    erased = await erasing.erase(db, root)
    for topic, partition, kept in await erasing.hints(db):
        batch = hint.decode(kept)
        left = [_without(one, erased.names) for one in batch.hints if one.subject not in erased.names]
        if left != batch.hints:
            told = hint.encode(left, batch.stitched_at) if left else None
            await erasing.keep_hints(db, topic, partition, told)
    return erased


def _without(one: Hint, names: Names) -> Hint:
    """A hint about somebody else that names no one who is gone."""
    entities, moved, reowned = (
        [each for each in ids if each not in names] for ids in (one.entities, one.moved, one.reowned)
    )
    return msgspec.structs.replace(one, entities=entities, moved=moved, reowned=reowned)


async def _next_best(db: Db, names: Names) -> None:
    after: UUID | None = NOBODY
    while after is not None:
        after = await erasing.next_best(db, after, names)


async def _sweep(db: Db, names: Names, after: int) -> tuple[int, int]:
    """Delete the dead letters beyond `after` that tell of these; how many, and the last one looked at."""
    sought, spaces = Sought(names.values()), {name.namespace for name in names.values()}
    dropped = 0
    while found := await erasing.letters(db, after):
        after = found[-1].id
        mine = [letter.id for letter in found if _tells_of(sought, spaces, letter)]
        dropped += await erasing.drop_letters(db, mine) if mine else 0
    return dropped, after


def _tells_of(sought: Sought, spaces: Collection[str], letter: Letter) -> bool:
    try:
        decoded = msgspec.json.decode(letter.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = None
    told = decoded.get("namespace") if isinstance(decoded, dict) else None
    namespace = letter.namespace or (told if isinstance(told, str) else None)
    if namespace is not None and namespace not in spaces:
        return False
    if decoded is None:
        return sought.in_bytes(letter.body) or sought.in_bytes(letter.around)
    return sought.in_json(decoded) or sought.in_bytes(letter.around)


def _tell(root: UUID, erased: Erased, *, as_json: bool) -> None:
    if as_json:
        kept = [{"namespace": n.namespace, "kind": n.kind, "value": n.value} for n in erased.kept.values()]
        print_json({"customer_id": str(root), "rows": erased.rows, "kept": kept})
        return
    print(f"erased customer {root}")
    for table, rows in sorted(erased.rows.items()):
        print(f"{table:<16} {rows:,}")
    for one in erased.kept.values():
        print(f"{one.kind}:{plain(one.value)} is somebody else's too, and theirs alone now")
