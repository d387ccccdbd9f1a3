"""Real SDKs, unmodified, send to the real collector through a proxy that fails: nothing is lost and nothing doubled."""

from __future__ import annotations

import pytest

from tests.conformance.proxy import RETRY_AFTER_SECONDS, Fault
from tests.conformance.rig import Outcome, marked
from tests.conformance.sdks import CALLS, SDKS, Sdk

pytestmark = pytest.mark.integration
each = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
each_that_retries = pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.retries], ids=lambda sdk: sdk.name)


@each
def test_every_call_is_stored_as_it_was_sent(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    outcome = outcomes[sdk.name]
    assert outcome.problem is None, outcome.problem
    assert sorted(outcome.numbers().values()) == list(range(CALLS))
    for record in outcome.records:
        number, _ = marked(record)
        assert record.call.type == sdk.types[number % len(sdk.types)]


@each
def test_no_call_counts_twice(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    assert outcomes[sdk.name].counted == CALLS


@each
def test_every_answer_but_ours_is_a_200(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    exchanges = [one for one in outcomes[sdk.name].proxy.exchanges if one.fault is None]
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
    stored = [one.message_id for one in outcome.records]
    assert {name for name in stored if stored.count(name) > 1} >= met.ids


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.retries and sdk.waits], ids=lambda sdk: sdk.name)
def test_a_retry_after_is_waited_for(outcomes: dict[str, Outcome], sdk: Sdk) -> None:
    ((met, later),) = outcomes[sdk.name].proxy.after(Fault.LIMITED)
    assert min(one.began for one in later) >= met.answered + RETRY_AFTER_SECONDS
