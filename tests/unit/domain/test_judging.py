"""Judging: causes alert once, people's words hold, history is silent, deadlines wait for what was received."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from pathline.domain import assessing, judging
from pathline.domain.alerts import Acknowledge, Resolve, Snooze
from pathline.domain.detectors.view import Story
from pathline.domain.identifiers import name_id
from pathline.domain.judging import Memory
from pathline.domain.moments import Moment, moment
from tests.support.desk import DETECTORS, Desk, at

PROMISED = {"promised_at": "2026-01-02T12:00:00Z"}
DUE = at(days=1, hours=12)
BLIND_AFTER = timedelta(minutes=5)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def late(desk: Desk) -> list[tuple[str, str | None]]:
    return [(a.state, a.resolution) for a in desk.episodes("late_vs_promise", "order", "o")]


def test_a_deadline_that_has_passed_when_its_touchpoint_arrives_alerts_at_once(desk: Desk) -> None:
    desk.tell("Order Completed", at(), PROMISED, arrives=at(days=3), order="o", user="u")
    (alert,) = desk.episodes("late_vs_promise", "order", "o")
    assert (alert.state, alert.opened_at, alert.updated_at) == ("open", DUE, at(days=3))


def test_an_answer_that_had_happened_before_but_came_after_resolves_as_late_event(desk: Desk) -> None:
    desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
    desk.sleep_until(DUE)
    desk.tell("Shipment Scanned", at(days=1), {"status": "delivered"}, arrives=at(days=2), order="o")
    (alert,) = desk.episodes("late_vs_promise", "order", "o")
    assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "late_event", at(days=2))


def test_a_case_that_becomes_theirs_answers_what_it_had_answered_all_along(desk: Desk) -> None:
    desk.tell("Survey Answered", at(), {"survey": "nps", "score": 1}, user="u")
    desk.tell("Contact Replied", at(hours=1), {"by": "agent"}, case="c", order="o")
    strand = name_id("default", "user_id", "u")
    assert [one.state for one in desk.about("detractor", strand)] == ["open"]
    desk.tell("Order Updated", at(hours=2), user="u", order="o")
    assert [one.state for one in desk.about("detractor", strand)] == ["resolved"]


def test_an_order_that_loses_a_parcel_is_judged_again(desk: Desk) -> None:
    desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
    desk.tell("Shipment Scanned", at(hours=1), {"status": "delivered"}, parcel="p1", order="o")
    desk.tell("Shipment Created", at(hours=3), parcel="p2", order="o")
    desk.sleep_until(DUE)
    assert late(desk) == [("open", None)]
    # An earlier word says that the second parcel is another order's.
    desk.tell("Shipment Created", at(hours=2), arrives=at(days=2), parcel="p2", order="another")
    assert late(desk) == [("resolved", "late_event")]


def test_judging_twice_changes_nothing(desk: Desk) -> None:
    desk.tell("Payment Failed", at(), order="o")
    before = desk.simulation.alerts()
    desk.simulation._judge([before[0].story_id], at(minutes=1))
    assert desk.simulation.alerts() == before


def test_two_touchpoints_with_one_message_id_are_one_cause(desk: Desk) -> None:
    desk.tell("Payment Failed", at(), order="o", message_id="twin")
    desk.tell("Payment Failed", at(minutes=5), order="o", message_id="twin", source="bank")
    desk.tell("Payment Succeeded", at(hours=1), order="o")
    desk.tell("Payment Failed", at(hours=2), order="o", message_id="again")
    desk.tell("Payment Failed", at(hours=1, minutes=59), arrives=at(hours=2), order="o", message_id="again", source="b")
    first, second = desk.episodes("payment_failed", "order", "o")
    assert (first.why, first.severity, first.opened_at) == (("twin",), "high", at())
    assert (second.why, second.severity, second.opened_at) == (("again",), "warning", at(hours=1, minutes=59))


def test_they_are_one_cause_too_when_they_are_judged_together(desk: Desk) -> None:
    desk.simulation.happen(
        at(minutes=5),
        [
            desk.touchpoint("Payment Failed", at(minutes=minutes), order="o", message_id="twin", source=source)
            for minutes, source in ((0, "shop"), (5, "bank"))
        ],
    )
    (alert,) = desk.episodes("payment_failed", "order", "o")
    story = _story(desk)
    (change,) = judging.judge(assessing.assess(DETECTORS, story, at(minutes=5)), Memory(), _when(days=1))
    assert (alert.why, len(change.causes), alert.severity) == (("twin",), 1, "warning")


class TestAHand:
    def test_a_cause_that_a_changed_file_names_otherwise_stays_resolved(self, desk: Desk) -> None:
        """As handoff_unanswered, which counted from an instant once: its causes were named by the time."""
        desk.tell("Contact Opened", at(), {"channel": "chat", "wants_person": True}, case="c", user="u")
        desk.sleep_until(at(minutes=2))
        (alert,) = desk.episodes("handoff_unanswered", "case", "c")
        desk.move(alert, Resolve("not_a_problem"), at(minutes=3))
        (resolved,) = desk.episodes("handoff_unanswered", "case", "c")
        story, episode = _story(desk), ("handoff_unanswered", alert.entity_id)
        old = Memory(
            spent={("handoff_unanswered", f"default/case/c@{at().isoformat()}"): resolved}, latest={episode: resolved}
        )

        def opened(memory: Memory) -> list[str]:
            told = [one for one in assessing.assess(DETECTORS, story, at(hours=1)) if one.episode == episode]
            return [change.kind for change in judging.judge(told, memory, _when(days=1))]

        assert (opened(old), opened(Memory())) == ([], ["opened"])
        # Who asks again is waited on again.
        desk.tell("Contact Replied", at(minutes=4), {"by": "customer", "wants_person": True}, case="c", user="u")
        story = _story(desk)
        assert opened(old) == ["opened"]

    def test_resolved_while_the_trouble_lasts_stays_resolved(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        desk.sleep_until(DUE)
        desk.move(desk.episodes("late_vs_promise", "order", "o")[0], Resolve("not_a_problem"), at(days=1, hours=13))
        desk.tell("Shipment Scanned", at(days=2), {"status": "in_transit"}, order="o")
        desk.sleep_until(at(days=20))
        assert late(desk) == [("resolved", "not_a_problem")]

    def test_a_new_cause_after_it_opens_a_new_episode_with_that_cause_alone_new(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), order="o")
        (first,) = desk.episodes("payment_failed", "order", "o")
        desk.move(first, Resolve("fixed"), at(minutes=1))
        desk.tell("Payment Failed", at(hours=3), order="o")
        first, second = desk.episodes("payment_failed", "order", "o")
        assert (first.state, second.state, second.episode, second.previous_id) == ("resolved", "open", 2, first.id)

    def test_a_new_episode_tells_of_its_own_causes_alone(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(hours=10), order="o")
        desk.sleep_until(at(hours=10, minutes=20))
        (first,) = desk.episodes("payment_failed", "order", "o")
        desk.move(first, Resolve("fixed"), at(hours=10, minutes=20))
        again = desk.tell("Payment Failed", at(hours=12), order="o")
        first, second = desk.episodes("payment_failed", "order", "o")
        assert (first.severity, first.state) == ("high", "resolved")
        assert (second.severity, second.opened_at, second.why) == ("warning", at(hours=12), (again,))
        desk.sleep_until(at(hours=12, minutes=14))
        assert desk.episodes("payment_failed", "order", "o")[1].severity == "warning"
        desk.sleep_until(at(hours=12, minutes=15))
        (_, second) = desk.episodes("payment_failed", "order", "o")
        assert (second.severity, second.opened_at, second.why) == ("high", at(hours=12), (again,))

    def test_what_a_person_dealt_with_raises_no_later_episode(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), order="o")
        desk.move(desk.episodes("payment_failed", "order", "o")[0], Resolve("fixed"), at(minutes=1))
        second = desk.tell("Payment Failed", at(minutes=5), order="o")
        assert [a.severity for a in desk.episodes("payment_failed", "order", "o")] == ["warning", "warning"]
        third = desk.tell("Payment Failed", at(minutes=6), order="o")
        last = desk.episodes("payment_failed", "order", "o")[1]
        assert (last.severity, last.opened_at, last.why) == ("high", at(minutes=5), (second, third))

    def test_a_cause_whose_answer_is_overruled_is_part_of_the_next_episode(self, desk: Desk) -> None:
        one = desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.tell("Shipment Scanned", at(hours=1), {"status": "in_transit"}, parcel="p")
        desk.sleep_until(at(hours=2))
        two = desk.tell(
            "Shipment Scanned", at(hours=1, minutes=5), {"status": "delayed"}, arrives=at(hours=3), parcel="p"
        )  # fmt: skip
        (_, again) = desk.episodes("delivery_exception", "parcel", "p")
        assert (again.state, again.opened_at, again.why) == ("open", at(), (one, two))

    def test_a_snoozed_alert_opens_by_itself(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        desk.sleep_until(DUE)
        until = at(days=1, hours=14)
        desk.move(desk.episodes("late_vs_promise", "order", "o")[0], Snooze(until), at(days=1, hours=13))
        desk.sleep_until(until - timedelta(seconds=1))
        assert late(desk) == [("snoozed", None)]
        desk.sleep_until(until)
        assert late(desk) == [("open", None)]

    def test_a_snoozed_alert_whose_trouble_ends_is_resolved(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), order="o")
        desk.move(desk.episodes("payment_failed", "order", "o")[0], Snooze(at(days=1)), at(minutes=1))
        desk.tell("Payment Succeeded", at(minutes=2), order="o")
        (alert,) = desk.episodes("payment_failed", "order", "o")
        assert (alert.state, alert.snoozed_until) == ("resolved", None)

    def test_a_rise_keeps_who_has_it(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), order="o")
        desk.move(desk.episodes("payment_failed", "order", "o")[0], Acknowledge(), at(minutes=1))
        desk.tell("Payment Failed", at(minutes=2), order="o")
        (alert,) = desk.episodes("payment_failed", "order", "o")
        assert (alert.severity, alert.state, alert.assignee) == ("high", "acknowledged", "sam")


class TestOverruled:
    def test_an_alert_that_a_fact_ended_lives_again_when_that_fact_is_overruled(self, desk: Desk) -> None:
        desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.tell("Shipment Scanned", at(hours=1), {"status": "in_transit"}, parcel="p")
        desk.sleep_until(at(hours=2))
        assert desk.states("delivery_exception", "parcel", "p") == ["resolved"]
        desk.tell(
            "Shipment Scanned", at(hours=1, minutes=5), {"status": "delayed"}, arrives=at(hours=3), parcel="p"
        )  # fmt: skip
        assert [s for s in desk.states("delivery_exception", "parcel", "p") if s == "open"] == ["open"]

    def test_what_handed_over_is_not_taken_back(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        desk.sleep_until(at(days=3))
        desk.tell("Shipment Scanned", at(days=3), {"status": "in_transit"}, order="o")
        assert desk.states("delivery_at_risk", "order", "o") == ["resolved"]


class TestHistory:
    def test_what_was_due_before_the_import_ended_is_kept_and_told_to_nobody(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, arrives=at(days=5), order="o", user="u", historical=True)
        assert late(desk) == [("expired", "expired")]
        desk.sleep_until(at(days=20))
        assert late(desk) == [("expired", "expired")]

    def test_a_later_deadline_of_an_imported_order_alerts_as_usual(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, arrives=at(hours=1), order="o", user="u", historical=True)
        desk.sleep_until(DUE)
        assert late(desk) == [("open", None)]

    def test_a_fresh_cause_after_historical_ones_opens_an_alert(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), arrives=at(days=2), order="o", historical=True)
        assert desk.states("payment_failed", "order", "o") == ["expired"]
        desk.tell("Payment Failed", at(days=3), order="o")
        assert desk.states("payment_failed", "order", "o") == ["expired", "open"]

    def test_a_fresh_cause_after_historical_ones_tells_of_itself_alone(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), arrives=at(days=2), order="o", historical=True)
        fresh = desk.tell("Payment Failed", at(days=3), order="o")
        alert = desk.episodes("payment_failed", "order", "o")[1]
        assert (alert.severity, alert.opened_at, alert.why) == ("warning", at(days=3), (fresh,))

    def test_news_about_what_was_imported_is_no_history(self, desk: Desk) -> None:
        desk.tell("Shipment Created", at(hours=8), arrives=at(hours=12), parcel="p", historical=True)
        scan = {"status": "exception"}
        told = desk.tell("Shipment Scanned", at(hours=10), scan, arrives=at(hours=13), parcel="p")
        (alert,) = desk.episodes("delivery_exception", "parcel", "p")
        assert (alert.state, alert.opened_at, alert.why) == ("open", at(hours=10), (told,))

    def test_a_live_promise_of_an_order_that_is_imported_again_is_no_history(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), {}, arrives=at(days=2), order="o", user="u", historical=True)
        desk.tell("Delivery Promised", at(hours=1), PROMISED, arrives=at(days=2, hours=1), order="o")
        assert late(desk) == [("open", None)]

    def test_history_is_no_part_of_a_live_alert(self, desk: Desk) -> None:
        live = desk.tell("Payment Failed", at(minutes=5), order="o")
        desk.tell("Payment Failed", at(), arrives=at(minutes=6), order="o", historical=True)
        (alert,) = desk.episodes("payment_failed", "order", "o")
        assert (alert.state, alert.severity, alert.why) == ("open", "warning", (live,))

    def test_an_order_imported_after_its_alert_leaves_the_alert_open(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        desk.sleep_until(DUE)
        desk.tell("Order Updated", at(hours=1), PROMISED, arrives=at(days=3), order="o", historical=True)
        assert late(desk) == [("open", None)]

    def test_what_was_told_live_and_imported_is_live(self, desk: Desk) -> None:
        for source, historical in (("shop", False), ("import", True)):
            desk.tell("Payment Failed", at(), order="o", message_id="m", source=source, historical=historical)
        assert desk.states("payment_failed", "order", "o") == ["open"]

    def test_expired_has_no_notice(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), arrives=at(days=2), order="o", historical=True)
        story = desk.simulation.world.story(desk.simulation.alerts()[0].story_id, ZoneInfo("UTC"))
        assert story is not None
        (change,) = judging.judge(assessing.assess(DETECTORS, story, at(days=3)), Memory(), _when(days=3))
        assert (change.alert.state, change.notice) == ("expired", None)


class TestTime:
    def test_a_deadline_waits_for_what_was_received_but_not_read(self) -> None:
        clock = at(hours=2)
        assert moment(clock, clock - timedelta(minutes=1), BLIND_AFTER).now == clock - timedelta(minutes=1)

    def test_but_not_for_ever(self) -> None:
        clock = at(hours=2)
        when = moment(clock, clock - timedelta(hours=1), BLIND_AFTER)
        assert (when.now, when.sighted) == (clock - BLIND_AFTER, clock - timedelta(hours=1))

    def test_what_happens_alerts_at_once_though_not_all_that_was_received_is_read(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(seconds=1), checkout="c", user="u")
        assessed = assessing.assess(DETECTORS, _story(desk), at())
        assert {one.detector.name for one in assessed if one.verdict.holding} == {"payment_failed"}

    def test_nobody_ever_read(self) -> None:
        assert moment(at(hours=2), None, BLIND_AFTER).now == at(hours=2) - BLIND_AFTER

    def test_a_reader_whose_clock_is_ahead_makes_nothing_due_early(self) -> None:
        assert moment(at(hours=2), at(hours=3), BLIND_AFTER).now == at(hours=2)

    @pytest.mark.parametrize(("sighted", "blind"), [(DUE - timedelta(hours=1), True), (DUE, False)])
    def test_an_alert_that_fired_unread_says_so(self, desk: Desk, sighted: object, *, blind: bool) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        story = _story(desk)
        when = Moment(DUE + BLIND_AFTER, sighted, DUE)  # type: ignore[arg-type]
        changes = judging.judge(assessing.assess(DETECTORS, story, when.now), Memory(), when)
        assert [c.alert.blind for c in changes if c.alert.detector == "late_vs_promise"] == [blind]

    def test_what_has_fired_stays_due_when_the_time_steps_back(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        desk.sleep_until(DUE)
        (alert,) = desk.episodes("late_vs_promise", "order", "o")
        alive = {("late_vs_promise", alert.entity_id): alert}
        assessed = assessing.assess(DETECTORS, _story(desk), DUE - timedelta(minutes=1), alive)
        holding = {one.detector.name: one.verdict.holding for one in assessed}
        assert holding["late_vs_promise"]

    @pytest.mark.parametrize("readers", [timedelta(0), timedelta(minutes=1)])
    def test_a_held_alert_that_has_ended_lives_no_second_time_when_the_time_steps_back(
        self, desk: Desk, readers: timedelta
    ) -> None:
        """Whether it is the clock that steps back, or only the time up to which everything is read."""
        desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.tell("Shipment Scanned", at(hours=1), {"status": "in_transit"}, parcel="p")
        ends = at(hours=1, minutes=10)
        desk.sleep_until(ends)
        (ended,) = desk.episodes("delivery_exception", "parcel", "p")
        assert (ended.state, ended.updated_at) == ("resolved", ends)
        before = ends - timedelta(milliseconds=5)
        when = Moment(before + readers, before, before)
        assessed = assessing.assess(DETECTORS, _story(desk), when.now)
        memory = Memory({}, dict.fromkeys(judging.causes_of(assessed), ended), {})
        assert [one.verdict.holding for one in assessed if one.detector.name == ended.detector] == [True]
        assert judging.judge(assessed, memory, when) == []
        assert judging.next_due(assessed, memory, []) == ends

    def test_the_next_deadline_is_the_least(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), PROMISED, order="o", user="u")
        assessed = assessing.assess(DETECTORS, _story(desk), at(hours=1))
        named = judging.deadlines(assessed, {})
        assert named == {
            "delivery_at_risk:order:o:due": DUE - timedelta(days=1),
            "late_vs_promise:order:o:due": DUE,
            "delayed_dispatch:order:o:due": at(days=2),
        }
        assert judging.next_due(assessed, Memory(), []) == DUE - timedelta(days=1)


def _when(*, days: float) -> Moment:
    return Moment(at(days=days), at(days=days), at(days=days))


def _story(desk: Desk) -> Story:
    """The only story there is, its customers looked up: for whom nobody knows, service is taken to be of the fastest."""
    world = desk.simulation.world
    (key,) = {world.key_of(one) for one in world.things}
    story = world.story(key, ZoneInfo("UTC"))
    assert story is not None
    return story.knowing({one.id: world.customer(one.id) for one in story.things})


class TestMoney:
    @pytest.mark.parametrize(
        ("total", "currency", "amount", "code"),
        [
            ("12.50", "EUR", "12.50", "EUR"),
            (7, "eur", "7", "EUR"),
            ("12.50", "E\0R", "12.50", None),
            ("12.50", "Euros", "12.50", None),
            ("12.50", 978, "12.50", None),
            ("1e131071", "EUR", None, None),
            ("1e-131071", "EUR", None, None),
            ("NaN", "EUR", None, None),
            ("-Infinity", "EUR", None, None),
            (10**30, "EUR", None, None),
            ("twelve", "EUR", None, None),
            (True, "EUR", None, None),
        ],
    )
    def test_what_is_no_money_is_left_out(
        self, desk: Desk, total: object, currency: object, amount: str | None, code: str | None
    ) -> None:
        desk.tell("Order Completed", at(), {**PROMISED, "total": total, "currency": currency}, order="o", user="u")
        desk.sleep_until(DUE)
        (alert,) = desk.episodes("late_vs_promise", "order", "o")
        assert (alert.amount, alert.currency) == (amount, code)
