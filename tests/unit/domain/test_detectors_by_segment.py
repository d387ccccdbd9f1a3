"""Whose customer a thing is changes its deadlines: service is faster for some, and a file may set other thresholds."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pathline.backtest.simulation import Simulation
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.owners import customer_of
from pathline.domain.detectors.rules import DetectorError, Override, ServiceRule
from pathline.domain.facts import Fact, State
from pathline.domain.identifiers import name_id
from tests.support.desk import Desk, at

ASKED = {"channel": "email", "topic": "delivery"}
"""Somebody is to reply within four hours."""

FILE: dict[str, Any] = {
    "name": "slow", "title": "Slow {value}", "ease": "use", "advice": "Hurry.", "entity": ["case"],
    "thresholds": {"patience": "8h", "most": 3}, "service": ["patience"],
    "deadline": {"at": "opened", "after": "patience", "until": [{"fact": "closed", "as": "closed"}]},
    "severity": [{"level": "high"}],
}  # fmt: skip
HALF = (ServiceRule("business", 0.5), ServiceRule("switching", 0.5))


class Traits(Desk):
    """A desk at which people say who they are."""

    def identify(self, when: datetime, user: str, traits: dict[str, Any], **more: Any) -> None:
        one = msgspec.structs.replace(self.touchpoint("identify", when, user=user, **more), traits=traits)
        self.simulation.happen(one.received_at, [one])


def desk_of(file: dict[str, Any] | None = None, *overrides: Override, service: Any = HALF) -> Traits:
    desk = Traits()
    if file is not None:
        read = checks.read(file)
        detectors = Detectors([read], [*checks.overrides_of(read), *overrides], service)
        desk.simulation = Simulation(detectors, ZoneInfo("UTC"))
    return desk


def opened(desk: Desk, name: str = "slow") -> list[datetime]:
    return [alert.opened_at for alert in desk.episodes(name, "case", "c")]


@pytest.mark.parametrize(
    ("traits", "hours"),
    [
        ({"name": "Ann"}, 4),
        ({"customer_type": "business"}, 2),
        ({"switched_from": "Other Shop"}, 2),
        ({"segments": ["Switching", "vip"]}, 2),
        ({"segments": ["vip"]}, 4),
    ],
)
def test_who_is_a_business_or_comes_from_a_competitor_is_served_in_half_the_time(
    traits: dict[str, Any], hours: float
) -> None:
    desk = desk_of()
    desk.identify(at(), "u", traits)
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.sleep_until(at(hours=24))
    assert opened(desk, "response_overdue") == [at(hours=hours)]


def test_who_says_so_later_is_judged_anew_at_once() -> None:
    desk = desk_of()
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.identify(at(hours=3), "u", {"customer_type": "business"})
    (alert,) = desk.episodes("response_overdue", "case", "c")
    assert (alert.opened_at, alert.updated_at) == (at(hours=2), at(hours=3))


def test_an_order_that_waits_is_judged_anew_too() -> None:
    desk = desk_of({**FILE, "entity": ["order"], "deadline": {"at": "placed", "after": "patience"}})
    desk.tell("Order Completed", at(), order="o", user="u")
    desk.identify(at(hours=5), "u", {"customer_type": "business"})
    assert [one.opened_at for one in desk.episodes("slow", "order", "o")] == [at(hours=4)]


def test_a_visitor_who_turns_out_to_be_a_business_is_served_as_one() -> None:
    desk = desk_of()
    desk.identify(at(), "u", {"customer_type": "business"})
    desk.tell("Contact Opened", at(), ASKED, case="c", visitor="v")
    desk.identify(at(hours=3), "u", {}, visitor="v")
    assert opened(desk, "response_overdue") == [at(hours=2)]


def test_a_guard_about_the_customer_holds_whenever_they_say_who_they_are() -> None:
    guarded = {**FILE, "when": "customer.type == 'business'", "thresholds": {"patience": "0s", "most": 3}}
    desk = desk_of(guarded)
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.sleep_until(at(hours=1))
    assert opened(desk) == []
    desk.identify(at(hours=2), "u", {"customer_type": "business"})
    assert opened(desk) == [at()]
    desk.identify(at(hours=3), "u", {"customer_type": "consumer"})
    (alert,) = desk.episodes("slow", "case", "c")
    assert (alert.state, alert.resolution) == ("resolved", "out_of_scope")


def test_the_shortest_of_several_rules_counts_and_they_do_not_add_up() -> None:
    desk = desk_of(FILE, service=(ServiceRule("business", 0.5), ServiceRule("vip", 0.25)))
    desk.identify(at(), "u", {"customer_type": "business", "segments": ["VIP"]})
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.sleep_until(at(hours=24))
    assert opened(desk) == [at(hours=2)]


@pytest.mark.parametrize(
    ("segments", "hours"), [([], 8), (["vip"], 1), (["slow"], 20), (["vip", "slow"], 20), (["business"], 4)]
)
def test_a_file_sets_thresholds_for_a_segment_which_nobody_halves(segments: list[str], hours: float) -> None:
    overrides = [{"segment": "VIP", "patience": "1h"}, {"segment": "slow", "patience": "20h"}]
    desk = desk_of({**FILE, "overrides": overrides})
    desk.identify(at(), "u", {"segments": segments})
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.sleep_until(at(hours=48))
    assert opened(desk) == [at(hours=hours)]


def test_a_segment_outranks_a_namespace_and_that_one_all() -> None:
    overrides = (
        Override("slow", None, {"patience": "1h"}, "vip"),
        Override("slow", "default", {"patience": "2h"}),
        Override("slow", None, {"patience": "3h"}),
    )
    desk = desk_of(FILE, *overrides)
    desk.identify(at(), "u", {"segments": ["vip"]})
    desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
    desk.tell("Contact Opened", at(), ASKED, case="d", user="w")
    desk.sleep_until(at(hours=48))
    assert opened(desk) == [at(hours=1)]
    assert [one.opened_at for one in desk.episodes("slow", "case", "d")] == [at(hours=2)]


def test_an_override_of_another_sort_is_refused() -> None:
    with pytest.raises(DetectorError, match="patience is a span of time, and '2wd' is a span in working days"):
        desk_of({**FILE, "overrides": [{"segment": "vip", "patience": "2wd"}]})
    with pytest.raises(DetectorError, match="most is a number"):
        desk_of(FILE, Override("slow", None, {"most": "1h"}, "vip"))


def test_what_is_known_of_a_customer() -> None:
    def told(**facts: Any) -> State:
        return State(facts={name: Fact(at(), "m", value) for name, value in facts.items()})

    bare = customer_of([], [State()], named=False)
    assert (bare.segments, bare.relation, bare.customer_type) == (frozenset(), "visitor", None)
    known = customer_of([], [told(segments=["VIP"]), told(switched_from="Other Shop")], named=True)
    assert (known.segments, known.relation) == (frozenset({"vip", "switching"}), "switching")
    account = State(marks={"accounts": (Fact(at(), "m", {"account": "acme"}),)})
    assert customer_of([], [account], named=True).segments == {"business"}


def test_nothing_is_assumed_of_whom_nobody_knows() -> None:
    desk = desk_of()
    desk.tell("Contact Opened", at(), ASKED, case="c")
    desk.sleep_until(at(hours=3, minutes=59))
    assert opened(desk, "response_overdue") == []
    desk.sleep_until(at(hours=4))
    assert opened(desk, "response_overdue") == [at(hours=4)]
    assert desk.simulation.world.customer(name_id("default", "case", "c")).segments == frozenset()


class TestSwitchedOff:
    @pytest.mark.parametrize(
        ("overrides", "asked"),
        [
            ([], True),
            ([Override("slow", None, {"runs": False})], False),
            ([Override("slow", "default", {"runs": False})], False),
            ([Override("slow", "elsewhere", {"runs": False})], True),
            ([Override("slow", None, {"runs": False}), Override("slow", "default", {"runs": True})], True),
            ([Override("slow", "default", {"runs": True}), Override("slow", None, {"runs": False})], True),
            ([Override("slow", None, {"runs": False}, "vip")], False),
            ([Override("slow", None, {"runs": False}, "business")], True),
            ([Override("slow", None, {"runs": False}), Override("slow", None, {"runs": True}, "vip")], True),
            ([Override("slow", None, {"runs": False}), Override("slow", None, {"runs": True}, "business")], False),
        ],
    )
    def test_a_detector_is_asked_where_no_override_says_otherwise(
        self, overrides: list[Override], *, asked: bool
    ) -> None:
        desk = desk_of(FILE, *overrides)
        desk.identify(at(), "u", {"segments": ["vip"]})
        desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
        desk.sleep_until(at(hours=24))
        assert bool(opened(desk)) is asked

    def test_what_is_open_of_it_is_out_of_scope(self) -> None:
        desk = desk_of(FILE)
        desk.tell("Contact Opened", at(), ASKED, case="c", user="u")
        desk.sleep_until(at(hours=9))
        read = checks.read(FILE)
        off = Detectors([read], [Override("slow", None, {"runs": False})], HALF)
        desk.simulation._detectors = off
        desk.tell("Contact Replied", at(hours=10), {"by": "agent"}, case="c")
        (alert,) = desk.episodes("slow", "case", "c")
        assert (alert.state, alert.resolution) == ("resolved", "out_of_scope")

    @pytest.mark.parametrize("told", ["no", 0, 1])
    def test_it_is_true_or_false(self, told: Any) -> None:
        with pytest.raises(DetectorError, match="runs is true or false"):
            desk_of(FILE, Override("slow", None, {"runs": told}))
        with pytest.raises(DetectorError, match="runs is true or false"):
            checks.read(FILE | {"overrides": [{"runs": told}]})

    def test_no_threshold_has_its_name(self) -> None:
        with pytest.raises(DetectorError, match="word of overrides"):
            checks.read(FILE | {"thresholds": {"patience": "8h", "most": 3, "runs": "1h"}})
