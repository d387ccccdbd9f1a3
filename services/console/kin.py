"""Why a customer is who they are, as the API says it: links, joins, and what operators did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from pathline.contracts.words import ActOut, JoinOut, KinHistory, LinkOut, NameOut, ProposalOut, Why
from pathline.domain.bonds import Bond
from pathline.domain.people import Person
from pathline.storage import people, words
from pathline.storage.people import Family
from pathline.storage.words import Act, Alias

if TYPE_CHECKING:
    from collections.abc import Collection

    from pathline.domain.people import Till
    from pathline.storage.connection import Db

Names = Mapping[UUID, Person]

UNKNOWN = "unknown"
"""Kind of an identifier that nobody was ever met under, or that was erased."""


async def history(db: Db, family: Family, *, before: int | None, limit: int) -> KinHistory:
    """All of it for one customer; of acts a page of `limit`, from below the act `before`."""
    users = [one for one, person in family.people.items() if person.identifier.kind == "user_id"]
    found = await words.aliases(db, users) if users else []
    acts = await words.history(db, family.people, before=before, limit=limit + 1)
    void = await people.tills(db, family.people.values())
    named = await _names(db, family.people, found, acts)
    return KinHistory(
        customer_id=str(family.root),
        links=[_link(one, person, void, named) for one, person in family.people.items()],
        joins=[_join(alias, named) for alias in found],
        acts=[_act(act, named) for act in acts[:limit]],
        next=str(acts[limit - 1].id) if len(acts) > limit else None,
        truncated=family.truncated,
    )


async def acts_out(db: Db, acts: Sequence[Act]) -> list[ActOut]:
    """These acts, with the names of whom they are about."""
    named = await _names(db, {}, (), acts)
    return [_act(act, named) for act in acts]


async def _names(db: Db, known: Names, found: Sequence[Alias], acts: Sequence[Act]) -> Names:
    bonds: list[Bond] = [alias.bond for alias in found if alias.bond is not None]
    pointers = [person.pointer for person in known.values()] + [act.inferred for act in acts]
    for pointer in pointers:
        if pointer is not None:
            bonds += [pointer.best] if pointer.runner_up is None else [pointer.best, pointer.runner_up]
    wanted = {bond.target for bond in bonds} | {end for alias in found for end in (alias.a, alias.b)}
    wanted |= {one for act in acts for one in (act.subject, act.other) if one is not None}
    wanted |= {above for person in known.values() if (above := person.above) is not None}
    missing = wanted - known.keys()
    return {**known, **(await people.load(db, missing) if missing else {})}


def _link(one: UUID, person: Person, void: Collection[Till], named: Names) -> LinkOut:
    parent = person.parent(void)
    why: Why = "nobody" if parent is None else "touchpoint"
    if person.word is not None:
        why = "operator"
    elif person.pointer is not None and parent is None:
        why = "till"
    pointer = person.pointer
    return LinkOut(
        identifier=_name(one, named),
        parent=None if parent is None else _name(parent, named),
        why=why,
        inferred=None if pointer is None else _proposal(pointer.best, named),
        runner_up=None if pointer is None or pointer.runner_up is None else _proposal(pointer.runner_up, named),
        act=None if person.word is None else person.word.act,
    )


def _join(alias: Alias, named: Names) -> JoinOut:
    return JoinOut(
        a=_name(alias.a, named),
        b=_name(alias.b, named),
        holds=alias.act is not None or not alias.cut,
        alias=None if alias.bond is None else _proposal(alias.bond, named),
        act=alias.act,
    )


def _act(act: Act, named: Names) -> ActOut:
    return ActOut(
        id=act.id,
        at=act.at,
        kind=act.kind,
        actor=act.actor,
        origin=act.origin,
        reason=act.reason,
        subject=_name(act.subject, named),
        other=None if act.other is None else _name(act.other, named),
        left=str(act.left),
        joined=str(act.joined),
        takes_back=act.takes_back,
        inferred=None if act.inferred is None else _proposal(act.inferred.best, named),
        in_force=act.in_force,
    )


def _proposal(bond: Bond, named: Names) -> ProposalOut:
    return ProposalOut(_name(bond.target, named), bond.source, bond.message_id, bond.at, bond.rank[1] == 0)


def _name(one: UUID, named: Names) -> NameOut:
    person = named.get(one)
    if person is None:
        return NameOut(str(one), UNKNOWN, "")
    return NameOut(str(one), person.identifier.kind, person.identifier.value)
