"""Real SDKs, unmodified, send to the real collector through a proxy that fails: nothing is lost and nothing doubled."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

from tests.conformance.outcome import Outcome, number_of
from tests.conformance.proxy import Exchange, Fault
from tests.conformance.sdks import CALLS, LOSING, SDKS, WEBHOOKS, Sdk
from tests.conformance.table import not_early, tables, write, written

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.timeout(300)]
LONGEST_SECONDS = 300
"""No run is longer, so no call is older; nor is one ahead of ours by more than the second that some clocks count in."""
LATEST_SECONDS = 1

ALL = (*SDKS, *WEBHOOKS)
each = pytest.mark.parametrize("sdk", ALL, ids=lambda sdk: sdk.name)
each_page = pytest.mark.parametrize(
    "sdk", [sdk for sdk in ALL if sdk.package.runs == "browser"], ids=lambda sdk: sdk.name
)
each_that_retries = pytest.mark.parametrize("sdk", [sdk for sdk in ALL if sdk.retries], ids=lambda sdk: sdk.name)


def is_alias(exchange: Exchange, sdk: Sdk) -> bool:
    """Whether it carries what a browser key may not send."""
    return "alias" in sdk.package.refused and b'"type":"alias"' in exchange.body


@each
def test_every_call_is_stored_as_it_was_sent(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    outcome = outcomes[sdk.name]
    assert outcome.problem is None, outcome.problem
    assert sorted(outcome.numbers().values()) == list(range(CALLS))
    for record in outcome.records:
        assert record.call.type == sdk.segment_type(number_of(record))


@each
def test_what_sent_it_and_when_is_known(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    outcome = outcomes[sdk.name]
    page = sdk.package.runs == "browser"
    assert {(one.library, one.trusted) for one in outcome.records} == {("web" if page else "server", not page)}
    assert not any(one.clamped for one in outcome.records)
    ages = [(one.received_at - one.occurred_at).total_seconds() for one in outcome.records]
    assert min(ages) > -LATEST_SECONDS and max(ages) < LONGEST_SECONDS


@each
def test_no_call_counts_twice(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    assert outcomes[sdk.name].counted == CALLS


@each
def test_every_answer_but_ours_is_a_200(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    exchanges = [one for one in outcomes[sdk.name].proxy.exchanges if one.fault is None and not is_alias(one, sdk)]
    assert [(one.path, one.status, one.answer) for one in exchanges if one.status != 200] == []


@each
def test_compressed_where_it_can(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    carried = outcomes[sdk.name].proxy.with_calls()
    assert {one.body[:2] == b"\x1f\x8b" for one in carried} == {sdk.gzip}


@each_that_retries
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
def test_what_met_a_fault_is_sent_again(outcomes: dict[str, Outcome], sdk: Sdk, fault: Fault) -> None:
    ((met, later),) = outcomes[sdk.name].proxy.after(fault)
    again: set[str] = set().union(*(one.ids for one in later))
    assert again >= met.ids


@each_that_retries
def test_what_was_stored_before_its_answer_was_lost_is_in_the_log_twice(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    outcome = outcomes[sdk.name]
    ((met, _),) = outcome.proxy.after(Fault.DROPPED)
    if sdk.package.provider:
        assert len(outcome.records) == CALLS + len(met.ids)
        return
    stored = Counter(one.message_id for one in outcome.records)
    assert met.ids & stored.keys()
    assert all(stored[name] > 1 for name in met.ids & stored.keys())


@pytest.mark.parametrize("sdk", [sdk for sdk in ALL if sdk.retries and sdk.waits], ids=lambda sdk: sdk.name)
def test_a_retry_after_is_waited_for(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    ((met, later),) = outcomes[sdk.name].proxy.after(Fault.LIMITED)
    assert later and not_early(met, later)


@pytest.mark.parametrize("sdk", [sdk for sdk in ALL if sdk.package.refused], ids=lambda sdk: sdk.name)
def test_what_a_browser_key_may_not_send_is_refused_and_not_sent_again(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    (told,) = [one for one in outcomes[sdk.name].proxy.exchanges if is_alias(one, sdk) and one.fault is None]
    answer = json.loads(told.answer)
    if told.path.endswith("/alias") or told.path.endswith("/a"):
        assert (told.status, answer["code"]) == (403, "needs_server_key")
    else:
        assert told.status == 200
        assert [one["code"] for one in answer["rejected"]] == ["needs_server_key"]


@each_page
def test_a_page_asks_nobody_else_and_its_requests_cross_origins(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    outcome = outcomes[sdk.name]
    assert outcome.elsewhere == []
    assert all("origin" in one.headers for one in outcome.proxy.with_calls())


@each_page
def test_a_page_asks_first_whether_it_may_send_what_is_not_simple(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    asked = [one for one in outcomes[sdk.name].proxy.exchanges if one.method == "OPTIONS"]
    assert bool(asked) != sdk.simple
    assert {one.status for one in asked} <= {200}


@pytest.mark.parametrize("sdk", [sdk for sdk in ALL if sdk.package.settings], ids=lambda sdk: sdk.name)
def test_a_page_gets_its_settings_from_the_collector(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    exchanges = outcomes[sdk.name].proxy.exchanges
    asked = [one for one in exchanges if one.method == "GET" and one.path.startswith(sdk.package.settings)]
    assert [one.status for one in asked] == [200]
    assert sdk.name in asked[0].path


@pytest.mark.parametrize("sdk", LOSING, ids=lambda sdk: sdk.name)
def test_what_does_not_try_again_has_lost_what_was_refused_and_nothing_else(
    outcomes: dict[str, Outcome], sdk: Sdk
) -> None:
    outcome = outcomes[sdk.name]
    assert outcome.problem is None, outcome.problem
    lost = {name for fault in (Fault.BUSY, Fault.LIMITED) for met, _ in outcome.proxy.after(fault) for name in met.ids}
    assert lost and not lost & outcome.numbers().keys()
    # What a browser key may not send is not stored either, unless it is among the lost.
    assert len(outcome.numbers()) + len(lost) + len(sdk.package.refused) - len(sdk.calls()) in {0, 1}


def test_the_document_has_this_table(outcomes: dict[str, Outcome]) -> None:
    current = tables(outcomes)
    if os.environ.get("CONFORMANCE_TABLE") == "write":
        write(current)
    assert written() == current, "`make conformance` writes it anew"
