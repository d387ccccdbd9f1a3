"""`pathline customer` on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.domain.identifiers import name_id
from pathline.kit.database import create_pool
from tests.support.stitching import stitch
from tests.support.world import touchpoint

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
WHY = ("--reason", "she called", "--as", "Uma")


@pytest.fixture(scope="module")
def run(database: str) -> Run:
    """One command, in this process, on people who were met."""

    async def meet() -> None:
        pool = await create_pool(database, max_size=1, application_name="test")
        await stitch(
            pool,
            [
                touchpoint(1, type="identify", people={"user_id": "ann", "email": "a@b"}, traits={"name": "Ann\x1b[0m"}),
                touchpoint(2, type="page", people={"email": "a@b", "anonymous_id": "v"}),
                touchpoint(
                    3, event="Order Completed", people={"user_id": "ann"}, things={"order": "1001"},
                    properties={"total": "9.00", "currency": "EUR"},
                ),
                touchpoint(4, type="identify", people={"user_id": "bob", "phone": "+12025550101"}),
            ],
        )  # fmt: skip
        await pool.close()

    asyncio.run(meet())
    program = cli.make_app(["customer"])
    env = {"PATHLINE_DATABASE_URL": database}
    return lambda *arguments: CliRunner().invoke(program, ["customer", *arguments], env=env)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failed(result: Result, code: str) -> None:
    assert result.exit_code == 1
    assert result.stderr.endswith(f"[{code}]\n"), result.stderr


ANN = str(name_id("default", "user_id", "ann"))
BOX = str(name_id("default", "email", "a@b"))


@pytest.mark.parametrize(
    "name", ["user_id:ann", "ann", "email:A@B", "a@b", "anonymous_id:v", "order:1001", "1001", ANN]
)
def test_a_customer_is_shown_by_any_name_and_thing(run: Run, name: str) -> None:
    shown = told(run("show", name, "--json"))
    assert shown["id"] == ANN and shown["touchpoints"] == 3
    assert {"namespace": "default", "kind": "order", "value": "1001"} in shown["things"]
    text = run("show", name)
    assert "identifier     email:a@b\n" in text.stdout and "thing          order:1001\n" in text.stdout
    # What somebody sent moves no terminal.
    assert "\x1b" not in text.stdout and "Ann\\x1b[0m" in text.stdout


@pytest.mark.parametrize("command", ["show", "history", "export"])
def test_who_is_not_known_is_not_found(run: Run, command: str) -> None:
    for name in ("nobody", "user_id:nobody", "order:nothing", str(name_id("default", "user_id", "nobody")), ""):
        failed(run(command, name), "customer_not_found")


def test_a_split_a_merge_and_both_taken_back(run: Run) -> None:
    before = told(run("history", "ann", "--json"))
    split = told(run("split", "a@b", *WHY, "--json"))
    assert split["changed"] and split["act"]["actor"] == "Uma" and split["act"]["origin"] == "command"
    assert (split["act"]["left"], split["act"]["joined"]) == (ANN, BOX)
    assert told(run("show", "v", "--json"))["id"] == BOX
    assert run("split", "a@b", *WHY).stdout == "that is so already\n"
    merged = run("merge", "a@b", "bob", *WHY)
    assert merged.stdout.startswith("act ") and told(run("show", "v", "--json"))["id"] != BOX
    acts = told(run("history", "bob", "--json"))["acts"]
    assert [(act["kind"], act["in_force"]) for act in acts] == [("merge", True), ("split", False)]
    text = run("history", "bob").stdout
    assert "Uma" in text and "she called" in text and "shop/m1" in text
    failed(run("take-back", str(split["act"]["id"]), *WHY), "not_in_force")
    assert told(run("take-back", str(acts[0]["id"]), *WHY, "--json"))["changed"]
    assert not told(run("take-back", str(acts[0]["id"]), *WHY, "--json"))["changed"]
    after = told(run("history", "ann", "--json"))
    assert (after["links"], after["joins"]) == (before["links"], before["joins"])


def test_a_mailbox_is_given_to_another(run: Run) -> None:
    given = told(run("split", "email:a@b", "--to", "user_id:bob", *WHY, "--json"))
    assert told(run("show", "a@b", "--json"))["id"] == str(name_id("default", "user_id", "bob"))
    assert told(run("take-back", str(given["act"]["id"]), *WHY, "--json"))["changed"]


def test_what_cannot_be_said_has_its_code(run: Run) -> None:
    failed(run("split", "user_id:ann", *WHY), "nothing_to_split")
    failed(run("split", "nobody", *WHY), "identifier_not_found")
    failed(run("split", "order:1001", *WHY), "identifier_not_found")
    failed(run("split", "email:a@b", "--to", "phone:+12025550101", *WHY), "parent_not_stronger")
    failed(run("take-back", "999999", *WHY), "act_not_found")
    for arguments in (("split", "a@b"), ("split", "a@b", "--reason", " "), ("split", "a@b", "--reason", "x" * 501)):
        assert run(*arguments).exit_code == 2


def test_everything_of_a_customer_is_exported(run: Run, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in run("export", "ann").stdout.splitlines()]
    kinds = [next(iter(line)) for line in lines]
    assert kinds[0] == "customer" and kinds.count("touchpoint") == 0
    assert {line["link"]["identifier"]["value"] for line in lines if "link" in line} == {"ann", "a@b", "v"}
    assert [line["thing"]["value"] for line in lines if "thing" in line] == ["1001"]
    file = tmp_path / "ann.jsonl"
    assert run("export", "ann", "--out", str(file)).exit_code == 0
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == lines
    failed(run("export", "ann", "--out", str(tmp_path / "none" / "ann.jsonl")), "no_file")
