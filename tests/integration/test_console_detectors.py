"""`/detectors`, for programs and people: what runs, its record, and who switched it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio

from pathline.contracts.detector_folder import FileFault
from pathline.domain.identifiers import Identifier
from pathline.storage import detectors, sweeps
from tests.support.console import TOKEN, Running

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

NOW = datetime.now(UTC)
EARLY = {
    "version": 2, "title": "Order {value} <b>may</b> be late", "ease": "obtain", "advice": "Ask the carrier.",
    "kinds": ["order"], "steps": [{"level": "warning"}], "thresholds": {"lead": "24h"}, "overrides": [],
    "warns_of": "trouble", "moved": "moved",
}  # fmt: skip
TROUBLE = {**EARLY, "warns_of": None, "title": "Order {value} is late", "version": 1}


def order(name: str) -> Identifier:
    return Identifier("default", "order", name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(here: Running) -> AsyncIterator[Running]:
    """Two detectors, one warning of the other, and what became of their episodes."""
    fault = FileFault("bad.yaml", 3, "not_yaml", "what <is> this", last_good=True)
    async with here.pool.acquire() as db, db.transaction():
        told = {"early": EARLY, "trouble": TROUBLE}
        await detectors.meet(db, told, {"early": "early.yaml", "trouble": None}, {"early": "shadow", "trouble": "live"})
        await sweeps.publish(db, "rules")
        await sweeps.announce(db, uuid4(), "scorer-1", "rules", msgspec.json.encode([fault]).decode())
    before = NOW - timedelta(days=1)
    given: list[tuple[str, str, dict[str, Any]]] = [
        ("early", "true", {"opened_at": before, "state": "resolved", "resolution": "handed_over", "resolved_at": NOW}),
        ("early", "vain", {"opened_at": before, "state": "resolved", "resolution": "delivered", "resolved_at": NOW}),
        ("early", "open", {}),
        ("trouble", "true", {"assignee": "Uma"}),
        ("trouble", "nothing", {"state": "resolved", "resolution": "not_a_problem", "resolved_at": NOW}),
        ("trouble", "alone", {"state": "resolved", "resolution": "delivered", "resolved_at": NOW}),
    ]
    for detector, name, more in given:
        shadow = detector == "early"
        await here.raise_alert(
            order(name), detector=detector, shadow=shadow, detector_version=2 if shadow else 1, **more
        )  # fmt: skip
    yield here


async def test_the_list_says_what_runs_how_good_it_is_and_what_is_wrong_with_files(known: Running) -> None:
    found = await known.get("/detectors")
    early, trouble = [one for one in found["items"] if one["name"] in {"early", "trouble"}]
    assert (early["mode"], early["file"], early["open_in_shadow"], early["warns_of"]) == (
        "shadow",
        "early.yaml",
        1,
        "trouble",
    )
    (record,) = early["records"]
    assert (record["version"], record["shadow"], record["episodes"], record["open"]) == (2, True, 3, 1)
    assert (record["came_true"], record["in_vain"], record["share_right"]) == (1, 1, 0.5)
    (record,) = trouble["records"]
    assert (record["acted_on"], record["not_a_problem"]) == (2, 1)
    assert record["share_not_a_problem"] == pytest.approx(1 / 3)
    assert [(f["file"], f["line"], f["last_good"], f["instance"]) for f in found["faults"]] == [
        ("bad.yaml", 3, True, "scorer-1")
    ]
    assert (found["scorers"], found["out_of_step"]) == (1, 0)


async def test_shadows_are_in_no_list_but_their_own(known: Running) -> None:
    assert "early" not in {one["detector"] for one in (await known.get("/alerts"))["items"]}
    shadows = (await known.get("/alerts", shadow="true"))["items"]
    assert {(one["detector"], one["shadow"]) for one in shadows} == {("early", True)}
    refused = await known.client.get("/api/v1/alerts", params={"shadow": "perhaps"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_parameter")
    assert await known.pool.fetchval(
        "SELECT count(*) FROM outbox o JOIN alert a ON a.id = o.alert_id WHERE a.shadow"
    ) == 0  # fmt: skip


async def test_going_live_and_back_is_kept_with_who_and_from_where(known: Running) -> None:
    async def post(mode: str) -> Any:
        answer = await known.client.post(f"/api/v1/detectors/early/{mode}", headers={"pathline-actor": "Uma"})
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    assert (await post("live"))["mode"] == "live"
    again = await post("live")
    assert [(act["kind"], act["actor"], act["origin"]) for act in again["history"]] == [
        ("live", "Uma", "api"), ("shadow", "pathline", "file"),
    ]  # fmt: skip
    assert (await post("shadow"))["mode"] == "shadow"
    for method, path in (("GET", "nobody"), ("POST", "nobody/live")):
        missing = await known.client.request(method, f"/api/v1/detectors/{path}")
        assert (missing.status_code, missing.json()["code"]) == (404, "detector_not_found")


async def test_a_person_sends_it_live_from_its_page(known: Running) -> None:
    async with httpx.AsyncClient(base_url=known.client.base_url, trust_env=False, follow_redirects=True) as browser:
        signed = await browser.post("/sign-in", data={"token": TOKEN, "name": "Noor"})
        assert signed.status_code == httpx.codes.OK, signed.text
        listed = (await browser.get("/detectors")).text
        assert 'href="/detectors/early"' in listed and "what &lt;is&gt; this" in listed and "line 3" in listed
        page = (await browser.get("/detectors/early")).text
        assert "1 open episode is sent" in page and "&lt;b&gt;may&lt;/b&gt;" in page and "in shadow" in page
        token = msgspec.json.decode(page.split("hx-headers='")[1].split("'")[0].replace("&#34;", '"'))
        refused = await browser.post("/detectors/early/live")
        assert refused.status_code == httpx.codes.FORBIDDEN
        switched = await browser.post("/detectors/early/live", headers={**token, "hx-request": "true"})
        assert "Back to shadow" in switched.text and "<b><bdi" in switched.text and "(console)" in switched.text
        unknown = await browser.post("/detectors/early/dead", headers=token)
        assert unknown.status_code == httpx.codes.NOT_FOUND
