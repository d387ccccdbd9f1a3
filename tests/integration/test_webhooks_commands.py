"""`pathline sources` on a real database: what it prints, what it refuses, and that no secret is shown whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from pathline import cli
from pathline.storage import sources
from pathline.storage.sources import WebhookSource
from services.ingest.providers import PROVIDERS
from tests.support.webhooks import SECRET

pytestmark = pytest.mark.integration
Run = Callable[..., Result]


@pytest.fixture
def run(database: str) -> Run:
    """One command, in this process; `given` is what stands on its standard input."""
    program = cli.make_app(["keys", "sources"])

    def invoke(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(program, arguments, env={"PATHLINE_DATABASE_URL": database}, input=given)

    return invoke


def active(database: str) -> dict[str, WebhookSource]:
    async def read() -> list[WebhookSource]:
        connection: Any = await asyncpg.connect(database)
        try:
            return await sources.active(connection)
        finally:
            await connection.close()

    return {source.name: source for source in asyncio.run(read())}


def test_a_source_is_made_listed_rotated_and_revoked(run: Run, database: str) -> None:
    made = run(
        "sources", "create", "shop", "--provider", "shopify", "--secret", "shpss_0123456789", "--namespace", "eu"
    )
    assert (made.exit_code, made.stdout) == (0, "/v1/webhooks/shop\n")
    again = run("sources", "create", "shop", "--provider", "stripe", "--secret", "whsec_other")
    assert again.exit_code == 1 and "[name_taken]" in again.stderr
    listed = run("sources", "list").stdout
    assert "…6789" in listed and "shpss" not in listed and "56789" not in listed and "eu" in listed
    rotated = run("sources", "rotate", "shop", "--secret", "shpss_new_new_new", "--for", "2")
    assert rotated.exit_code == 0
    row = active(database)["shop"]
    assert row.secrets(datetime.now(UTC)) == ("shpss_new_new_new", "shpss_0123456789")
    assert row.old_until is not None
    assert timedelta(hours=1, minutes=59) < row.old_until - datetime.now(UTC) <= timedelta(hours=2)
    assert run("sources", "revoke", "shop").exit_code == 0
    assert "shop" not in active(database)
    for gone in (run("sources", "revoke", "shop"), run("sources", "rotate", "shop", "--secret", "x")):
        assert gone.exit_code == 1 and "[not_found]" in gone.stderr
    taken = run("sources", "create", "shop", "--provider", "shopify", "--secret", "x")
    assert taken.exit_code == 1 and "[name_taken]" in taken.stderr


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_source_of_each_provider_with_its_secret_from_standard_input(run: Run, database: str, provider: str) -> None:
    made = run(
        "sources", "create", f"in-{provider}", "--provider", provider, "--secret", "-", given=SECRET[provider] + "\n"
    )
    assert made.exit_code == 0, made.output
    assert active(database)[f"in-{provider}"].secret == SECRET[provider]
    assert SECRET[provider] not in made.output + run("sources", "list").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("Shop 1", "--provider", "shopify", "--secret", "x"),
        ("shop1", "--provider", "fax", "--secret", "x"),
        ("shop1", "--provider", "shopify", "--secret", ""),
        ("shop1", "--provider", "shopify", "--secret", "a\nb"),
        ("shop1", "--provider", "shopify", "--secret", "x" * 513),
        ("shop1", "--provider", "standard", "--secret", "no base64!"),
        ("shop1", "--provider", "stripe", "--secret", "sk_test_0123456789"),
        ("shop1", "--provider", "shopify", "--secret", "x", "--namespace", "E U"),
        ("shop1", "--provider", "shopify"),
    ],
)
def test_what_cannot_be_a_source_is_refused(run: Run, database: str, arguments: tuple[str, ...]) -> None:
    refused = run("sources", "create", *arguments)
    assert refused.exit_code == 2
    assert "x" * 513 not in refused.output
    assert "shop1" not in active(database)


def test_help_names_every_provider(run: Run) -> None:
    told = run("sources", "create", "--help").output
    assert [provider for provider in PROVIDERS if provider not in told] == []


def test_a_secret_that_cannot_be_is_no_rotation(run: Run, database: str) -> None:
    run("sources", "create", "any", "--provider", "standard", "--secret", SECRET["standard"])
    assert run("sources", "rotate", "any", "--secret", "no base64!").exit_code == 2
    assert run("sources", "rotate", "any", "--secret", "-", given="").exit_code == 2
    assert run("sources", "rotate", "any", "--secret", SECRET["standard"], "--for", "1000000").exit_code == 2
    assert active(database)["any"].secrets(datetime.now(UTC)) == (SECRET["standard"],)
