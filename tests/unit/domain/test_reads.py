"""What an offered fact is said to be read off is enough to read it, whatever else is known or not."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from pathline.contracts import detector_files
from pathline.domain.detectors.reads import EVERYWHERE, reads
from pathline.domain.detectors.sources import FIRST_SEEN, READ_OFF, is_missing, read_off
from pathline.domain.detectors.view import OFFERED, Story, Strand, View
from pathline.domain.facts import State
from pathline.domain.touchpoint import Touchpoint
from tests.support.world import World, logs, painful_logs, stitched

UTC_ZONE = ZoneInfo("UTC")
DETECTORS = detector_files.load()
EVERY = {one.name: one for kind in OFFERED for one in DETECTORS.of("", kind)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(painful_logs(most=25))
def test_an_offered_fact_is_read_off_what_it_says_and_nothing_else(log: list[Touchpoint]) -> None:
    check(log)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs(most=25))
def test_so_it_is_of_whatever_is_told(log: list[Touchpoint]) -> None:
    check(log)


def check(log: list[Touchpoint]) -> None:
    for story in stories_of(stitched([log])):
        for place, view in enumerate(story.views()):
            for name, offer in OFFERED[view.kind].items():
                told = read_off(view.kind, name)
                if told is not None:
                    assert offer.read(nth(only(story, told | EVERYWHERE), place)) == offer.read(view), (view.kind, name)
                if is_missing(view.kind, view.told, story.told, name):
                    assert not offer.read(view), (view.kind, name)


def stories_of(world: World) -> Iterable[Story]:
    keys = {world.key_of(one) for one in (*world.things, *world.people)}
    return (story for key in keys if (story := world.story(key, UTC_ZONE)) is not None)


def only(story: Story, names: frozenset[str]) -> Story:
    """The same story, of which nothing is known but facts of these names."""
    strand = story.strand
    return Story(
        story.id,
        [msgspec.structs.replace(thing, state=stripped(thing.state, names)) for thing in story.things],
        UTC_ZONE,
        strand=None if strand is None else Strand(strand.identifier, stripped(strand.state, names)),
    )


def stripped(state: State, names: frozenset[str]) -> State:
    return State(
        facts={name: fact for name, fact in state.facts.items() if name in names},
        marks={name: marks for name, marks in state.marks.items() if name in names},
        first_seen_at=state.first_seen_at if FIRST_SEEN in names else None,
    )


def nth(story: Story, place: int) -> View:
    return list(story.views())[place]


@pytest.mark.parametrize("name", sorted(EVERY))
def test_of_every_built_in_detector_it_is_known_what_it_reads(name: str) -> None:
    assert reads(EVERY[name]) is not None


def test_each_named_fact_is_one_that_is_offered() -> None:
    offered = {name for offers in OFFERED.values() for name in offers}
    assert READ_OFF.keys() <= offered
