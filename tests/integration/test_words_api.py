"""A split and a merge over HTTP, with a real stitcher, Kafka and PostgreSQL behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pathline.contracts import api
from pathline.contracts.words import KinHistory, WordOut
from pathline.domain.identifiers import Identifier, name_id
from tests.support.console import Running, user
from tests.support.records import record

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

_numbers = count()


def met(*names: str, **call: Any) -> bytes:
    """An identify of these names."""
    given = dict(name.split(":", 1) for name in names)
    traits = {kind: given[kind] for kind in ("email", "phone") if kind in given}
    ids = {
        field: given[kind] for field, kind in (("userId", "user_id"), ("anonymousId", "anonymous_id")) if kind in given
    }
    return record({"type": "identify", **ids, "traits": traits, **call}, message_id=f"w{next(_numbers)}")


def mailbox(value: str) -> str:
    return str(name_id("default", "email", value))


async def post(here: Running, customer: str, what: str, actor: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if actor is None else {"pathline-actor": actor}
    body.setdefault("reason", "the customer called")
    return await here.client.post(f"/api/v1/customers/{customer}/{what}", json=body, headers=headers)


async def said(here: Running, customer: str, what: str, **body: Any) -> WordOut:
    answer = await post(here, customer, what, **body)
    assert answer.status_code == httpx.codes.OK, answer.text
    return msgspec.json.decode(answer.content, type=WordOut, strict=True)


async def refused(here: Running, customer: str, what: str, **body: Any) -> tuple[int, str]:
    answer = await post(here, customer, what, **body)
    return answer.status_code, msgspec.json.decode(answer.content, type=api.Error).code


async def names(here: Running, customer: str) -> set[str]:
    found = await here.get(f"/customers/{customer}")
    return {one["value"] for one in found["identifiers"]}


async def history(here: Running, customer: str, **params: Any) -> KinHistory:
    return msgspec.convert(await here.get(f"/customers/{customer}/history", **params), KinHistory)


async def test_a_mailbox_is_split_off_moved_and_taken_back(here: Running) -> None:
    await here.send(
        met("user_id:sue", "email:shared@b"), met("email:shared@b", "anonymous_id:v-shared"), met("user_id:tim")
    )
    sue, tim, box = user("sue"), user("tim"), mailbox("shared@b")
    split = await said(here, sue, "split", identifier={"kind": "email", "value": "Shared@b"}, actor="Uma")
    assert (split.changed, split.customer_id, split.other_id) == (True, sue, box)
    assert split.act is not None and (split.act.actor, split.act.origin) == ("Uma", "api")
    assert await names(here, sue) == {"sue"} and await names(here, box) == {"shared@b", "v-shared"}
    again = await said(here, sue, "split", identifier={"kind": "email", "value": "shared@b"})
    assert (again.changed, again.act, again.other_id) == (False, None, box)
    # The mailbox is met with Sue once more, and stays where it is.
    await here.send(met("user_id:sue", "email:shared@b"))
    assert await names(here, sue) == {"sue"}
    given = await said(
        here, box, "split", identifier={"kind": "email", "value": "shared@b"}, to={"kind": "user_id", "value": "tim"}
    )
    assert given.customer_id == given.other_id == tim
    assert given.act is not None and given.act.other is not None and given.act.other.value == "tim"
    assert await names(here, tim) == {"tim", "shared@b", "v-shared"}
    assert await refused(here, tim, "take-back", act=split.act.id) == (409, "not_in_force")
    back = await said(here, tim, "take-back", act=given.act.id)
    assert (back.customer_id, back.other_id) == (tim, sue)
    assert await names(here, sue) == {"sue", "shared@b", "v-shared"}
    assert not (await said(here, sue, "take-back", act=given.act.id)).changed


async def test_a_merge_and_the_ids_that_keep_answering(here: Running) -> None:
    await here.send(met("user_id:kim", "email:kim@b"), met("user_id:kim-2", "email:kim2@b"))
    merged = await said(here, user("kim"), "merge", customer_id=mailbox("kim2@b"))
    assert merged.changed and merged.act is not None
    whole = await here.get(f"/customers/{user('kim')}")
    assert {one["value"] for one in whole["identifiers"]} == {"kim", "kim-2", "kim@b", "kim2@b"}
    assert whole["touchpoint_count"] == 2
    for former in (user("kim-2"), mailbox("kim@b"), mailbox("kim2@b"), merged.customer_id):
        assert await here.get(f"/customers/{former}") == whole
    assert not (await said(here, user("kim-2"), "merge", customer_id=user("kim"))).changed
    told = await history(here, user("kim"))
    (join,) = told.joins
    assert (join.holds, join.act, join.alias) == (True, merged.act.id, None)
    await said(here, user("kim"), "take-back", act=merged.act.id)
    assert await names(here, user("kim")) == {"kim", "kim@b"}
    for former in (user("kim"), user("kim-2")):
        acts = (await history(here, former)).acts
        assert [(act.kind, act.in_force) for act in acts] == [("take_back", False), ("merge", False)]


async def test_the_history_says_which_touchpoint_made_each_link(here: Running) -> None:
    first, second = met("user_id:pia", "email:pia@b"), met("user_id:quin", "email:pia@b")
    await here.send(first)
    await here.send(second)
    told = await history(here, user("pia"))
    link = next(link for link in told.links if link.identifier.value == "pia@b")
    assert link.why == "touchpoint" and link.parent is not None and link.parent.value == "pia"
    assert link.inferred is not None and link.inferred.trusted and link.inferred.source == "demo"
    assert link.runner_up is not None and link.runner_up.parent.value == "quin"
    split = await said(here, user("pia"), "split", identifier={"kind": "email", "value": "pia@b"}, reason="not hers")
    assert split.act is not None and split.act.inferred == link.inferred
    (cut,) = (await history(here, mailbox("pia@b"))).links
    assert (cut.why, cut.parent, cut.act) == ("operator", None, split.act.id)
    # What touchpoints say is shown all the same: it is what a take-back restores.
    assert (cut.inferred, cut.runner_up) == (link.inferred, link.runner_up)
    for _ in range(2):
        act = (await history(here, mailbox("pia@b"))).acts[0].id
        await said(here, mailbox("pia@b"), "take-back", act=act)
        await said(here, user("pia"), "split", identifier={"kind": "email", "value": "pia@b"})
    numbers: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = await history(here, mailbox("pia@b"), limit=2, **cursor)
        numbers += [act.id for act in page.acts]
        if page.next is None:
            break
        cursor = {"cursor": page.next}
    assert numbers == sorted(set(numbers), reverse=True) and len(numbers) == 5


EMAIL = {"kind": "email", "value": "err@b"}


@pytest.mark.parametrize(
    ("what", "body", "status", "code"),
    [
        ("split", {"identifier": EMAIL, "reason": " "}, 400, "missing_reason"),
        ("split", {"identifier": EMAIL, "reason": None}, 400, "missing_reason"),
        ("split", {"identifier": EMAIL, "reason": "x" * 501}, 400, "missing_reason"),
        ("split", {}, 400, "bad_identifier"),
        ("split", {"identifier": "err@b"}, 400, "bad_identifier"),
        ("split", {"identifier": {"kind": "order", "value": "1"}}, 400, "bad_identifier"),
        ("split", {"identifier": {"kind": "email", "value": "null"}}, 400, "bad_identifier"),
        ("split", {"identifier": EMAIL, "to": {"kind": "user_id"}}, 400, "bad_identifier"),
        ("split", {"identifier": {"kind": "user_id", "value": "err"}}, 409, "nothing_to_split"),
        ("split", {"identifier": {"kind": "email", "value": "other@b"}}, 404, "identifier_not_found"),
        ("split", {"identifier": EMAIL, "to": {"kind": "user_id", "value": "nobody"}}, 404, "identifier_not_found"),
        ("split", {"identifier": EMAIL, "to": {"kind": "email", "value": "other@b"}}, 409, "parent_not_stronger"),
        ("merge", {}, 404, "customer_not_found"),
        ("merge", {"customer_id": "nobody"}, 404, "customer_not_found"),
        ("merge", {"customer_id": str(Identifier("default", "user_id", "no-one").id)}, 404, "customer_not_found"),
        ("take-back", {}, 404, "act_not_found"),
        ("take-back", {"act": 10**30}, 404, "act_not_found"),
        ("take-back", {"act": "1"}, 404, "act_not_found"),
        ("take-back", {"act": 0}, 404, "act_not_found"),
    ],
)
async def test_what_cannot_be_said_has_its_code(
    here: Running, what: str, body: dict[str, Any], status: int, code: str
) -> None:
    await here.send(met("user_id:err", "email:err@b"), met("email:other@b"))
    assert await refused(here, user("err"), what, **body) == (status, code)


async def test_nobody_and_other_peoples_acts_are_not_found(here: Running) -> None:
    await here.send(met("user_id:vic", "email:vic@b"), met("user_id:wim"))
    nobody = str(Identifier("default", "user_id", "no-one").id)
    for what, body in (
        ("split", {"identifier": EMAIL}), ("merge", {"customer_id": user("vic")}), ("take-back", {"act": 1}),
    ):  # fmt: skip
        assert await refused(here, nobody, what, **body) == (404, "customer_not_found")
    assert (await here.client.get(f"/api/v1/customers/{nobody}/history")).status_code == 404
    split = await said(here, user("vic"), "split", identifier={"kind": "email", "value": "vic@b"})
    assert split.act is not None
    assert await refused(here, user("wim"), "take-back", act=split.act.id) == (404, "act_not_found")
    for cursor in ("x", "9" * 30, "-1"):
        answer = await here.client.get(f"/api/v1/customers/{user('vic')}/history", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_people_of_two_namespaces_are_kept_apart(here: Running) -> None:
    call = {"type": "identify", "userId": "zoe"}
    await here.send(
        record(call, message_id=f"w{next(_numbers)}"),
        record(call, message_id=f"w{next(_numbers)}", namespace="outlet", source="outlet"),
    )
    theirs = str(name_id("outlet", "user_id", "zoe"))
    assert await refused(here, user("zoe"), "merge", customer_id=theirs) == (409, "other_namespace")


async def test_words_are_counted_by_outcome(here: Running) -> None:
    await here.send(met("user_id:max", "email:max@b"))
    before = {
        outcome: await here.metric(f'pathline_console_words_total{{kind="split",outcome="{outcome}"}}')
        for outcome in ("done", "repeated", "conflict", "refused", "not_found")
    }
    box = {"kind": "email", "value": "max@b"}
    for identifier in (box, box, {"kind": "user_id", "value": "max"}, {"kind": "x", "value": "y"}, EMAIL):
        await post(here, user("max"), "split", identifier=identifier)
    for outcome, had in before.items():
        assert await here.metric(f'pathline_console_words_total{{kind="split",outcome="{outcome}"}}') == had + 1


async def test_a_stream_hears_of_the_customer_left_and_the_one_joined_and_of_no_touchpoint(here: Running) -> None:
    await here.send(met("user_id:uli", "email:uli@b"))
    everyone = await here.listen().opened()
    mine = await here.listen(customer=user("uli")).opened()
    try:
        await said(here, user("uli"), "split", identifier={"kind": "email", "value": "uli@b"})
        for stream, whose in ((everyone, user("uli")), (everyone, mailbox("uli@b")), (mine, user("uli"))):
            event = await stream.until("journey", about(whose))
            assert {user("uli"), mailbox("uli@b")} <= set(event["moved"])
        assert not everyone.of("touchpoint")
    finally:
        await everyone.close()
        await mine.close()


def about(customer: str) -> Callable[[Any], bool]:
    """Whether an event's data is about this customer."""
    return lambda data: bool(data["customer_id"] == customer)


PAGE = Path(__file__).parents[2] / "docs" / "people.md"
CALL = re.compile(r"""curl -H "\$AUTH" "\$API/customers/\$(\w+)/([\w-]+)"(?: *\\?\n? *-d '(.*)')?""")


async def test_the_example_of_the_docs_is_answered_as_it_says(here: Running) -> None:
    await here.send(met("user_id:42", "email:info@example.com"), met("user_id:4711"))
    known = {"CUSTOMER": user("42"), "OTHER": user("4711")}
    asked = []
    for who, what, body in CALL.findall(PAGE.read_text(encoding="utf-8")):
        asked.append(what)
        if what == "history":
            known["ACT"] = str((await history(here, known[who])).acts[0].id)
            continue
        text = re.sub(r"'\$(\w+)'", lambda found: known[found[1]], body)
        assert (await said(here, known[who], what, **msgspec.json.decode(text))).changed
    assert asked == ["split", "merge", "history", "take-back"]
    assert await names(here, user("42")) == {"42"}
