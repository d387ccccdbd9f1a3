"""The first six detectors that come with Pathline: what makes each fire, what does not, what ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pathline.domain.detectors.calendars import WEEKDAYS
from pathline.domain.identifiers import name_id
from tests.support.desk import Desk, at

ORDER = {"promised_at": "2026-01-02", "delivery_zone": "America/New_York", "total": "40.00", "currency": "EUR"}
PROMISE_ENDS = at(days=2, hours=5)
"""The end of 2 January, a Friday, in New York."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestLateVsPromise:
    def test_fires_at_the_end_of_the_promised_day_where_the_parcel_goes(self, desk: Desk) -> None:
        placed = desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.sleep_until(PROMISE_ENDS - timedelta(seconds=1))
        assert desk.states("late_vs_promise", "order", "o") == []
        desk.sleep_until(PROMISE_ENDS)
        (alert,) = desk.episodes("late_vs_promise", "order", "o")
        assert (alert.state, alert.severity, alert.opened_at) == ("open", "high", PROMISE_ENDS)
        assert (alert.why, alert.amount, alert.currency) == ((placed,), "40.00", "EUR")
        assert (alert.title, alert.ease) == ("Order o is late", "obtain")

    def test_is_critical_from_the_next_working_day_as_the_same_alert(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        monday = at(days=4, hours=5)
        desk.sleep_until(monday - timedelta(seconds=1))
        (before,) = desk.episodes("late_vs_promise", "order", "o")
        desk.sleep_until(monday)
        (after,) = desk.episodes("late_vs_promise", "order", "o")
        assert (before.severity, after.severity) == ("high", "critical")
        assert (after.id, after.episode, after.opened_at) == (before.id, 1, before.opened_at)

    @pytest.mark.parametrize("told", ["0001-01-01T00:00:00Z", "tomorrow", 1767398400000, 1767398400, "99991231"])
    def test_what_is_no_time_is_no_promise_and_moves_none(self, desk: Desk, told: object) -> None:
        desk.tell("Order Completed", at(), {**ORDER, "promised_at": told}, order="o", user="u")
        desk.sleep_until(at(days=9))
        assert desk.states("late_vs_promise", "order", "o") == []
        desk.tell("Delivery Promised", at(days=9), ORDER, order="o")
        desk.tell("Delivery Promised", at(days=10), {"promised_at": told}, order="o")
        (alert,) = desk.episodes("late_vs_promise", "order", "o")
        assert (alert.state, alert.opened_at) == ("open", PROMISE_ENDS)

    def test_a_date_without_hyphens_lasts_to_its_end(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), {**ORDER, "promised_at": "20260102"}, order="o", user="u")
        desk.sleep_until(PROMISE_ENDS)
        assert [a.opened_at for a in desk.episodes("late_vs_promise", "order", "o")] == [PROMISE_ENDS]

    @pytest.mark.parametrize("end", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
    @pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Apia"])
    def test_beyond_the_calendar_no_working_day_begins(self, end: datetime, zone: str) -> None:
        assert WEEKDAYS.next_working_day(end, ZoneInfo(zone)).year in {1, 9999}

    @pytest.mark.parametrize(
        ("event", "properties", "resolution"),
        [
            ("Shipment Scanned", {"status": "delivered"}, "delivered"),
            ("Order Cancelled", {}, "cancelled"),
            ("Order Refunded", {}, "refunded"),
            ("Delivery Promised", {"promised_at": "2026-01-20"}, "promise_moved"),
        ],
    )
    def test_ends(self, desk: Desk, event: str, properties: dict[str, str], resolution: str) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.sleep_until(PROMISE_ENDS)
        desk.tell(event, at(days=3), properties, order="o")
        (alert,) = desk.episodes("late_vs_promise", "order", "o")
        assert (alert.state, alert.resolution) == ("resolved", resolution)

    @pytest.mark.parametrize(
        ("event", "properties"),
        [("Shipment Scanned", {"status": "delivered"}), ("Order Cancelled", {}), ("Order Refunded", {"total": 40})],
    )
    def test_does_not_fire_for_what_is_over(self, desk: Desk, event: str, properties: dict[str, str]) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.tell(event, at(days=1), properties, order="o")
        desk.sleep_until(at(days=30))
        assert desk.states("late_vs_promise", "order", "o") == []

    def test_a_part_that_is_refunded_is_not_the_end_of_it(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.tell("Order Refunded", at(days=1), {"total": "15.00"}, order="o")
        desk.sleep_until(PROMISE_ENDS)
        assert desk.states("late_vs_promise", "order", "o") == ["open"]

    def test_a_moved_promise_that_is_broken_again_is_a_new_episode(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.sleep_until(PROMISE_ENDS)
        desk.tell("Delivery Promised", at(days=3), {"promised_at": "2026-01-06"}, order="o")
        desk.sleep_until(at(days=7))
        first, second = desk.episodes("late_vs_promise", "order", "o")
        assert (first.state, second.state, second.previous_id) == ("resolved", "open", first.id)


class TestDeliveryAtRisk:
    def test_warns_a_day_ahead_and_hands_over_when_it_is_late(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        ahead = PROMISE_ENDS - timedelta(days=1)
        desk.sleep_until(ahead)
        (alert,) = desk.episodes("delivery_at_risk", "order", "o")
        assert (alert.state, alert.severity, alert.opened_at) == ("open", "warning", ahead)
        desk.sleep_until(PROMISE_ENDS)
        (alert,) = desk.episodes("delivery_at_risk", "order", "o")
        assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "handed_over", PROMISE_ENDS)
        assert desk.states("late_vs_promise", "order", "o") == ["open"]

    def test_does_not_warn_of_what_is_out_for_delivery(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        desk.tell("Shipment Scanned", at(hours=10), {"status": "out_for_delivery"}, order="o")
        desk.sleep_until(PROMISE_ENDS - timedelta(seconds=1))
        assert desk.states("delivery_at_risk", "order", "o") == []

    def test_waits_for_every_parcel(self, desk: Desk) -> None:
        desk.tell("Order Completed", at(), ORDER, order="o", user="u")
        for parcel in ("p1", "p2"):
            desk.tell("Shipment Created", at(hours=1), order="o", parcel=parcel)
        desk.tell("Shipment Scanned", at(hours=10), {"status": "out_for_delivery"}, parcel="p1")
        desk.sleep_until(at(days=1, hours=6))
        assert desk.states("delivery_at_risk", "order", "o") == ["open"]
        desk.tell("Shipment Scanned", at(days=1, hours=7), {"status": "out_for_delivery"}, parcel="p2")
        (alert,) = desk.episodes("delivery_at_risk", "order", "o")
        assert (alert.state, alert.resolution) == ("resolved", "out_for_delivery")


class TestDeliveryException:
    @pytest.mark.parametrize("status", ["exception", "delayed", "lost", "returning", "returned"])
    def test_fires_at_what_the_carrier_reports(self, desk: Desk, status: str) -> None:
        scan = desk.tell("Shipment Scanned", at(), {"status": status}, parcel="p")
        (alert,) = desk.episodes("delivery_exception", "parcel", "p")
        assert (alert.state, alert.severity, alert.why, alert.opened_at) == ("open", "high", (scan,), at())

    def test_does_not_fire_at_a_good_scan(self, desk: Desk) -> None:
        desk.tell("Shipment Scanned", at(), {"status": "in_transit"}, parcel="p")
        assert desk.states("delivery_exception", "parcel", "p") == []

    def test_a_good_scan_must_hold_for_ten_minutes(self, desk: Desk) -> None:
        desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.tell("Shipment Scanned", at(hours=1), {"status": "in_transit"}, parcel="p")
        desk.sleep_until(at(hours=1, minutes=9))
        assert desk.states("delivery_exception", "parcel", "p") == ["open"]
        desk.sleep_until(at(hours=1, minutes=10))
        (alert,) = desk.episodes("delivery_exception", "parcel", "p")
        assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "answered", at(hours=1))

    def test_a_good_scan_that_is_taken_back_ends_nothing(self, desk: Desk) -> None:
        first = desk.tell("Shipment Scanned", at(), {"status": "exception"}, parcel="p")
        desk.tell("Shipment Scanned", at(hours=1), {"status": "in_transit"}, parcel="p")
        second = desk.tell("Shipment Scanned", at(hours=1, minutes=5), {"status": "delayed"}, parcel="p")
        desk.sleep_until(at(days=1))
        (alert,) = desk.episodes("delivery_exception", "parcel", "p")
        assert (alert.state, alert.why) == ("open", (first, second))


class TestPaymentFailed:
    def test_warns_at_the_first_and_is_raised_in_place_at_the_second(self, desk: Desk) -> None:
        first = desk.tell("Payment Failed", at(), order="o")
        (before,) = desk.episodes("payment_failed", "order", "o")
        second = desk.tell("Payment Failed", at(minutes=5), order="o")
        (after,) = desk.episodes("payment_failed", "order", "o")
        assert (before.severity, before.why) == ("warning", (first,))
        assert (after.severity, after.why, after.id, after.episode) == ("high", (first, second), before.id, 1)

    def test_of_a_checkout_without_a_sum_the_payment_says_what_is_at_stake(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), {"amount": "80", "currency": "USD"}, checkout="c", user="u")
        desk.tell("Payment Failed", at(minutes=1), {"amount": "129.90", "currency": "eur"}, checkout="c", user="u")
        desk.tell("Payment Failed", at(minutes=2), {"amount": "much"}, checkout="c", user="u")
        (alert,) = desk.episodes("payment_failed", "checkout", "c")
        assert (alert.amount, alert.currency) == ("129.90", "EUR")
        desk.tell("Checkout Started", at(minutes=3), {"value": "140.00", "currency": "GBP"}, checkout="c", user="u")
        (alert,) = desk.episodes("payment_failed", "checkout", "c")
        assert (alert.amount, alert.currency) == ("140.00", "GBP")

    def test_is_high_when_nothing_succeeded_in_a_quarter_of_an_hour(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), order="o")
        desk.sleep_until(at(minutes=15))
        assert [a.severity for a in desk.episodes("payment_failed", "order", "o")] == ["high"]

    def test_a_success_on_the_order_answers_a_failure_on_its_checkout(self, desk: Desk) -> None:
        desk.tell("Payment Failed", at(), checkout="c")
        desk.tell("Order Completed", at(minutes=1), {}, order="o", checkout="c", user="u")
        desk.tell("Payment Succeeded", at(minutes=2), order="o")
        (alert,) = desk.episodes("payment_failed", "checkout", "c")
        assert (alert.state, alert.resolution) == ("resolved", "answered")

    def test_does_not_fire_for_a_failure_that_a_success_had_followed(self, desk: Desk) -> None:
        desk.tell("Payment Succeeded", at(minutes=2), order="o")
        desk.tell("Payment Failed", at(), arrives=at(minutes=3), order="o")
        assert desk.states("payment_failed", "order", "o") == []


class TestCheckoutAbandoned:
    def test_fires_after_an_idle_hour_of_somebody_known(self, desk: Desk) -> None:
        desk.tell("Checkout Started", at(), {"value": "30.00", "currency": "EUR"}, checkout="c", user="u")
        desk.tell("Checkout Step Viewed", at(minutes=30), {"step": 1}, checkout="c", user="u")
        desk.sleep_until(at(minutes=89))
        assert desk.states("checkout_abandoned", "checkout", "c") == []
        desk.sleep_until(at(minutes=90))
        (alert,) = desk.episodes("checkout_abandoned", "checkout", "c")
        assert (alert.state, alert.severity, alert.amount) == ("open", "warning", "30.00")

    def test_waits_until_the_visitor_can_be_reached(self, desk: Desk) -> None:
        desk.tell("Checkout Started", at(), checkout="c", visitor="v")
        desk.sleep_until(at(hours=5))
        assert desk.states("checkout_abandoned", "checkout", "c") == []
        desk.tell("identify", at(hours=6), user="u", visitor="v")
        (alert,) = desk.episodes("checkout_abandoned", "checkout", "c")
        assert (alert.state, alert.opened_at) == ("open", at(hours=1))

    def test_an_order_of_the_same_customer_ends_it(self, desk: Desk) -> None:
        desk.tell("Checkout Started", at(), checkout="c", user="u")
        desk.sleep_until(at(hours=1))
        desk.tell("Order Completed", at(hours=2), {}, order="o", user="u")
        (alert,) = desk.episodes("checkout_abandoned", "checkout", "c")
        assert (alert.state, alert.resolution) == ("resolved", "ordered")

    def test_coming_back_ends_it_and_leaving_again_is_a_new_episode(self, desk: Desk) -> None:
        desk.tell("Checkout Started", at(), checkout="c", user="u")
        desk.sleep_until(at(hours=1))
        desk.tell("Checkout Step Viewed", at(hours=2), {"step": 1}, checkout="c", user="u")
        (alert,) = desk.episodes("checkout_abandoned", "checkout", "c")
        assert (alert.state, alert.resolution) == ("resolved", "active_again")
        desk.sleep_until(at(hours=3))
        assert desk.states("checkout_abandoned", "checkout", "c") == ["resolved", "open"]


class TestDetractor:
    @pytest.mark.parametrize(
        ("answer", "fires"),
        [
            ({"survey": "nps", "score": 6}, True),
            ({"survey": "nps", "score": 7}, False),
            ({"survey": "csat", "score": 2}, True),
            ({"survey": "csat", "score": 3}, False),
            ({"survey": "csat", "score": 4, "scale": 10}, True),
            ({"survey": "ces", "score": 3}, True),
            ({"survey": "ces", "score": 4}, False),
            ({"survey": "NPS", "score": 6}, True),
            ({"survey": "CSAT", "score": 2, "scale": "5"}, True),
            ({"survey": "CES", "score": 4}, False),
            ({"survey": "CES", "score": 3}, True),
            ({"survey": "nps", "score": "5"}, True),
            ({"survey": "nps", "score": "bad"}, False),
            ({"survey": "nps", "score": True}, False),
            ({"survey": "mood", "score": 1}, False),
        ],
    )
    def test_fires_at_a_low_score(self, desk: Desk, answer: dict[str, object], *, fires: bool) -> None:
        desk.tell("Survey Answered", at(), answer, order="o", user="u")
        assert desk.states("detractor", "order", "o") == (["open"] if fires else [])

    def test_a_follow_up_in_any_case_of_the_customer_ends_it(self, desk: Desk) -> None:
        desk.tell("Survey Answered", at(), {"survey": "nps", "score": 1}, user="u")
        strand = name_id("default", "user_id", "u")
        assert [a.state for a in desk.about("detractor", strand)] == ["open"]
        desk.tell("Contact Opened", at(hours=1), {"channel": "phone"}, case="c", user="u")
        desk.tell("Contact Replied", at(hours=2), {"by": "bot"}, case="c")
        assert [a.state for a in desk.about("detractor", strand)] == ["open"]
        desk.tell("Contact Replied", at(hours=3), {"by": "agent"}, case="c")
        assert [(a.state, a.resolution) for a in desk.about("detractor", strand)] == [("resolved", "answered")]

    def test_a_survey_that_names_a_parcel_is_the_persons(self, desk: Desk) -> None:
        desk.tell("Survey Answered", at(), {"survey": "nps", "score": 1}, parcel="p", user="u")
        assert [a.state for a in desk.about("detractor", name_id("default", "user_id", "u"))] == ["open"]
