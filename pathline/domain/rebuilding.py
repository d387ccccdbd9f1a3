"""A rebuild: what retained touchpoints tell under another stage file or a newer version, and a state with it.

Counts are left alone: each touchpoint was counted when it was stitched, and no stage file changes that. Facts join, so
a touchpoint may be read twice, and a stitcher may tell more meanwhile. Only what the stage file decides is also taken
back: a fact of a touchpoint that was read, and that no longer tells it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from pathline.domain.facts import ACTION_PREFIX, STAGE_PREFIX, Fact, State, merge, newest, rule_of
from pathline.domain.fold import Changes
from pathline.domain.identifiers import Identifier
from pathline.domain.stages import Stages
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import is_report

OF_THE_FILE: Final = (STAGE_PREFIX, ACTION_PREFIX)
"""How the names of facts begin that the stage file decides."""

_PERSON: Final = "user_id"
"""The kind that a person goes by here, of whom only the id of the strand is known."""

Place = tuple[UUID, datetime, UUID]
"""Of a touchpoint, in the order in which they are read: its subject, its time, its id."""

_object = msgspec.json.Decoder(dict[str, Any])


class Retained(msgspec.Struct, frozen=True, gc=False):
    """A touchpoint as it is stored: without the names of its person, and of an identify without its properties."""

    subject: UUID
    occurred_at: datetime
    id: UUID
    received_at: datetime
    message_id: str
    source: str
    type: str
    event: str
    channel: str
    stage: str | None
    moment_of_truth: bool
    historical: bool
    entities: list[UUID]
    body: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.subject, self.occurred_at, self.id


class Undone(NamedTuple):
    """A fact that its touchpoint does not tell any more."""

    name: str
    at: datetime
    message_id: str


class Placement(NamedTuple):
    """A touchpoint that is in another stage now, or is a moment of truth where it was none, or the reverse."""

    subject: UUID
    occurred_at: datetime
    id: UUID
    stage: str | None
    moment_of_truth: bool


class Refolded(msgspec.Struct):
    """What some touchpoints tell, by the ids of strands and things."""

    told: dict[UUID, State]
    """Their facts and marks, nothing counted."""
    undone: dict[UUID, list[Undone]]
    placements: list[Placement]


def refold(
    page: Sequence[Retained],
    kinds: Mapping[UUID, str],
    held: Mapping[UUID, Mapping[str, Fact]],
    stages: Stages,
) -> Refolded:
    """Fold stored touchpoints again.

    Args:
        page: any of them.
        kinds: of the things that they name; one that is not there any more is told nothing.
        held: facts of the strands and things that they name, read after them: what they told is in there.
        stages: the file that counts from now on.
    """
    changes = Changes(stages)
    placements = []
    keys = set()
    for one in page:
        touchpoint = again(one, kinds)
        if touchpoint is None:
            continue
        keys.add((one.occurred_at, one.message_id))
        changes.add(touchpoint)
        placed = changes.stitched[-1]
        if placed.stage != one.stage or placed.moment_of_truth != one.moment_of_truth:
            placements.append(Placement(*one.place, placed.stage, placed.moment_of_truth))
    told = {}
    for name, state in changes.states.items():
        if state.facts or state.marks:
            told[UUID(name.value)] = State(facts=state.facts, marks=state.marks)
    undone = {one: listed for one, facts in held.items() if (listed := list(_undone(facts, told.get(one), keys)))}
    return Refolded(told, undone, placements)


def _undone(held: Mapping[str, Fact], told: State | None, keys: Collection[tuple[datetime, str]]) -> Iterable[Undone]:
    for name, fact in held.items():
        if name.startswith(OF_THE_FILE) and (fact.at, fact.message_id) in keys:
            again = None if told is None else told.facts.get(name)
            # Where an earlier one tells it too, that one comes in its place, and nothing is lost.
            if again is None or not _same(again, fact):
                yield Undone(name, fact.at, fact.message_id)


def again(one: Retained, kinds: Mapping[UUID, str]) -> Touchpoint | None:
    """The touchpoint as far as its facts need it, under names made of ids; None when its own thing is gone."""
    if any(thing not in kinds for thing in one.entities):
        if one.subject in one.entities and one.subject not in kinds:
            return None
        entities = [thing for thing in one.entities if thing in kinds]
    else:
        entities = one.entities
    act = one.subject not in one.entities
    body = _body(one.body)
    properties = body if one.type not in {"identify", "group"} else {}
    return Touchpoint(
        id=one.id,
        source=one.source,
        message_id=one.message_id,
        namespace="",
        trusted=True,
        type=one.type,
        event=one.event,
        channel=one.channel,
        occurred_at=one.occurred_at,
        received_at=one.received_at,
        historical=one.historical,
        # Whose it is was decided when it was stitched, and is not asked again.
        report=not act and one.type == "track" and is_report(one.event, properties.get("by")),
        people=(Identifier("", _PERSON, one.subject.hex),) if act else (),
        things=tuple([Identifier("", kinds[thing], thing.hex) for thing in entities]),
        properties=properties,
        traits=body if one.type == "identify" else {},
    )


def _body(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    try:
        return _object.decode(text)
    except msgspec.DecodeError:
        return {}


def renewed(held: State, told: State, undone: Iterable[Undone], at: datetime) -> State:
    """A state with what a rebuild found in it.

    A fact that is not of the stage file, and that no process told before, counts as history received at `at`: it is
    shown, and it alerts nobody.
    """
    facts = dict(held.facts)
    for one in undone:
        fact = facts.get(one.name)
        if fact is not None and (fact.at, fact.message_id) == (one.at, one.message_id):
            del facts[one.name]
    for name, fact in told.facts.items():
        facts[name] = _told_again(name, facts.get(name), fact, at)
    marks = dict(held.marks)
    for name, listed in told.marks.items():
        marks[name] = _marked_again(name, marks.get(name, ()), listed, at)
    return msgspec.structs.replace(held, facts=facts, marks=marks)


def _told_again(name: str, held: Fact | None, told: Fact, at: datetime) -> Fact:
    if name.startswith(OF_THE_FILE):
        return told if held is None or _same(held, told) else merge(rule_of(name), held, told)
    if held is None:
        return _as_history(told, at)
    if _same(held, told):
        return _with_receipt_of(held, told)
    return held if merge(rule_of(name), held, told) is held else _as_history(told, at)


def _marked_again(name: str, held: tuple[Fact, ...], told: tuple[Fact, ...], at: datetime) -> tuple[Fact, ...]:
    known = {(fact.at, fact.message_id): fact for fact in held}
    for fact in told:
        before = known.get((fact.at, fact.message_id))
        known[fact.at, fact.message_id] = _as_history(fact, at) if before is None else _with_receipt_of(before, fact)
    return newest(name, known.values())


def _same(a: Fact, b: Fact) -> bool:
    return (a.at, a.message_id) == (b.at, b.message_id)


def _as_history(fact: Fact, at: datetime) -> Fact:
    return fact if fact.imported_at is not None else msgspec.structs.replace(fact, imported_at=at)


def _with_receipt_of(held: Fact, told: Fact) -> Fact:
    """What is told now, which a newer version may tell in other words, and whether it is history as it was."""
    return told if told.imported_at == held.imported_at else msgspec.structs.replace(told, imported_at=held.imported_at)


def more_than_the_file(before: State, after: State) -> bool:
    """Whether they differ in what detectors look at: no detector asks for what the stage file decides."""
    if before.marks != after.marks:
        return True
    return {n: f for n, f in before.facts.items() if not n.startswith(OF_THE_FILE)} != {
        n: f for n, f in after.facts.items() if not n.startswith(OF_THE_FILE)
    }


def earlier(state: State, told: State, retained_since: datetime) -> list[str]:
    """Names of facts of the stage file that no retained touchpoint tells: an earlier file made them, and they stay."""
    return [
        name
        for name, fact in state.facts.items()
        if name.startswith(OF_THE_FILE)
        and (fact.imported_at or fact.at) < retained_since
        and not ((again := told.facts.get(name)) is not None and _same(again, fact))
    ]
