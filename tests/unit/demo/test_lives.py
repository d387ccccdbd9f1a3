"""The demo's customers: the same for a seed, understood by the collector and the stitcher, and in every pain by turns."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from pathline.cli import make_app
from pathline.contracts import accepted, reading
from pathline.demo.customer import Customer
from pathline.demo.history import history
from pathline.demo.lives import CALLS_A_LIFE, Event, crowd, life
from pathline.demo.pace import HISTORY, LIVE, Pace
from pathline.demo.plots import OPENING, WEIGHTS, Plot
from pathline.domain.touchpoint import Touchpoint
from pathline.domain.vocabulary import VOCABULARY, event_of, is_report

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DETECTORS = {
    "late_vs_promise", "delivery_at_risk", "delivery_exception", "payment_failed", "checkout_abandoned", "detractor",
}  # fmt: skip


def lives(seed: int = 1, *, run: str = "r-", pace: Pace = LIVE, most: int = 300, opening: bool = False) -> list[Event]:
    return list(crowd(seed, run=run, start=START, pace=pace, gap_seconds=2, most=most, opening=opening))


def touchpoint(event: Event) -> Touchpoint:
    """What the collector and the stitcher make of a call."""
    record = accepted.encode(
        msgspec.json.encode(event.call), source=f"demo-{event.by}", namespace="demo-shop",
        trusted=event.by == "server", library=event.by, received_at=event.at, occurred_at=event.at,
        message_id=event.call["messageId"],
    )  # fmt: skip
    return reading.to_touchpoint(accepted.decode(record))


@pytest.mark.parametrize("pace", [LIVE, HISTORY], ids=["live", "history"])
def test_a_seed_gives_the_same_lives_and_another_seed_others(pace: Pace) -> None:
    assert lives(pace=pace) == lives(pace=pace)
    assert [e.call for e in lives(pace=pace)] != [e.call for e in lives(2, pace=pace)]


def test_another_run_tells_of_other_people_and_things_doing_the_same() -> None:
    one, two = lives(run="r-"), lives(run="s-")
    assert [(e.at, e.call.get("event"), e.by) for e in one] == [(e.at, e.call.get("event"), e.by) for e in two]

    def names(events: list[Event]) -> set[object]:
        met = [touchpoint(event) for event in events]
        return {name for t in met for name in (t.id, *(p.id for p in t.people), *(e.id for e in t.things))}

    shared = {phone.id for e in one + two for phone in touchpoint(e).people if phone.kind == "phone"}
    assert names(one) & names(two) <= shared, "only numbers kept for fiction, of which there are few, come twice"


@pytest.mark.parametrize("pace", [LIVE, HISTORY], ids=["live", "history"])
def test_calls_come_in_the_order_of_time_each_once(pace: Pace) -> None:
    events = lives(pace=pace)
    assert [event.at for event in events] == sorted(event.at for event in events)
    ids = [event.call["messageId"] for event in events]
    assert len(set(ids)) == len(ids)
    for event in events:
        told = datetime.fromisoformat(event.call["timestamp"])
        assert abs(told - event.at) < timedelta(milliseconds=2), "a call is sent when it happens"


@pytest.mark.parametrize("plot", list(dict.fromkeys((*OPENING, *WEIGHTS))), ids=lambda plot: plot.__name__)
def test_every_call_of_every_plot_is_understood(plot: Plot) -> None:
    for number, pace in itertools.product(range(40), (LIVE, HISTORY)):
        at = START
        for step in life(3, number, run="r-", start=START, pace=pace, plot=plot):
            assert step.delay >= timedelta(0)
            at += step.delay
            check(step.call, step.by)
            assert touchpoint(Event(at, number, step.by, step.call)).subject is not None


def check(call: dict[str, Any], by: str) -> None:
    if call["type"] != "track":
        assert call["type"] in {"page", "identify"}
        return
    known, properties = event_of(call["event"]), call["properties"]
    for names in known.required:
        assert any(name in properties for name in names), f"{call['event']} lacks {names}"
    if by == "web":
        assert not is_report(call["event"], properties.get("by")), "a browser key may not send reports"


def test_words_of_the_plots_are_of_the_vocabulary() -> None:
    told = {event.call["event"] for event in lives(most=500) if event.call["type"] == "track"}
    segments_own = {
        "Products Searched", "Product Viewed", "Product Added", "Checkout Step Completed", "Payment Info Entered",
    }  # fmt: skip
    assert told <= set(VOCABULARY) | segments_own


def test_an_average_life_has_as_many_calls_as_said() -> None:
    events = lives(most=2_500)
    assert len(events) / 2_500 == pytest.approx(CALLS_A_LIFE, rel=0.03)


def test_an_endless_crowd_comes_at_its_rate() -> None:
    rate = 5.0
    endless = crowd(1, run="r-", start=START, pace=LIVE, gap_seconds=CALLS_A_LIFE / rate, opening=True)
    # A customer lives for some minutes: after those the shop is as full as it gets.
    minutes = itertools.dropwhile(lambda event: event.at < START + timedelta(minutes=5), endless)
    told = list(itertools.takewhile(lambda event: event.at < START + timedelta(minutes=35), minutes))
    assert len(told) / 1_800 == pytest.approx(rate, rel=0.15)


def test_the_opening_shows_every_pain_within_two_minutes(tmp_path: Path) -> None:
    for seed in range(1, 6):
        opening = crowd(seed, run="r-", start=START, pace=LIVE, gap_seconds=CALLS_A_LIFE / 3, opening=True)
        events = itertools.takewhile(lambda event: event.at < START + timedelta(seconds=130), opening)
        opened = episodes(tmp_path, [msgspec.json.encode(event.call) + b"\n" for event in events], "demo-shop")
        first: dict[str, float] = {}
        for one in opened:
            at = (datetime.fromisoformat(one["opened_at"]) - START).total_seconds()
            first[one["detector"]] = min(at, first.get(one["detector"], at))
        # Whether one customer has two pains that add up by then is chance; it is in shadow.
        first.pop("journey_risk", None)
        assert set(first) == DETECTORS, f"seed {seed}"
        assert first["late_vs_promise"] < 60 and max(first.values()) < 130, f"seed {seed}: {first}"


def episodes(folder: Path, lines: list[bytes], namespace: str) -> list[dict[str, Any]]:
    """What the detectors find in the calls, by `pathline backtest`."""
    file, out = folder / "calls.ndjson", folder / "episodes.ndjson"
    file.write_bytes(b"".join(lines))
    done = CliRunner().invoke(
        make_app(("backtest",)), ["backtest", str(file), "--namespace", namespace, "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    return [msgspec.json.decode(line) for line in out.read_bytes().splitlines()]


def test_history_is_the_same_for_a_seed_and_ends_in_time(tmp_path: Path) -> None:
    lines = list(history(4, customers=150, start=START, days=20))
    assert lines == list(history(4, customers=150, start=START, days=20))
    times = [datetime.fromisoformat(msgspec.json.decode(line)["timestamp"]) for line in lines]
    assert times[0] >= START and times == sorted(times) and times[-1] < START + timedelta(days=20)
    assert {one["detector"] for one in episodes(tmp_path, lines, "default")} >= DETECTORS


def test_the_example_in_the_docs_is_what_its_command_makes() -> None:
    example = Path(__file__).parents[3] / "docs" / "examples" / "history.ndjson"
    start = datetime(2026, 1, 5, tzinfo=UTC)
    assert example.read_bytes() == b"".join(history(7, customers=45, start=start, days=30))


def test_a_promise_by_day_ends_where_the_parcel_goes() -> None:
    customer = Customer(1, 1, run="r-", start=START, pace=HISTORY)
    end, told = HISTORY.promised_at(customer.chance, START, "America/Chicago")
    assert len(told) == len("2026-03-05")
    assert end.isoformat().endswith("T00:00:00-06:00"), "midnight there"
