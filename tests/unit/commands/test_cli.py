"""The program: every command is there, whichever of its modules were imported."""

import asyncpg
import pytest
import typer.main
from aiokafka.errors import KafkaConnectionError

from pathline import cli
from pathline.commands import trouble
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit.lifecycle import AddressTakenError
from pathline.kit.settings import NoDatabaseError


def commands(*modules: str) -> set[str]:
    group = typer.main.get_command(cli.make_app(modules))
    return set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("module", "names"), list(cli.QUICK.items()))
def test_what_is_imported_alone_has_the_commands_it_is_imported_for(module: str, names: tuple[str, ...]) -> None:
    assert commands(module) == set(names)
    assert all(cli.wanted_modules([name, "--help"]) == [module] for name in names)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["keys", "list"], ["nonsense"]])
def test_all_else_has_all_of_them(arguments: list[str]) -> None:
    assert cli.wanted_modules(arguments) == cli.COMMANDS
    assert commands(*cli.COMMANDS) >= {"up", "ingest", "keys", "import"}


def test_trouble_is_a_line_with_its_code_and_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise TroubleError(Code.NO_SPACE, "The disk is full.")

    monkeypatch.setattr(cli, "make_app", lambda _modules: fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 12
    assert capsys.readouterr().err == "pathline: The disk is full. [no_space]\n"


def test_a_bad_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATHLINE_DATABASE_URL", "mysql://me:s3cret@db/x")
    monkeypatch.setenv("PATHLINE_PARTITIONS", "0")
    monkeypatch.setenv("PATHLINE_COLLECTOR", "foo")
    monkeypatch.setattr("sys.argv", ["pathline", "status"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == Code.BAD_SETTING
    assert "PATHLINE_DATABASE_URL: " in said and "PATHLINE_PARTITIONS: " in said and "[bad_setting]" in said
    assert "PATHLINE_COLLECTOR: 'foo' is not host:port" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (TroubleError(Code.OTHER_VERSION, "Old."), Code.OTHER_VERSION, "Old."),
        (NoDatabaseError(), Code.BAD_SETTING, "set PATHLINE_DATABASE_URL"),
        (AddressTakenError("h:1", "in use"), Code.PORT_IN_USE, "h:1"),
        (KafkaConnectionError("gone"), Code.NOT_REACHABLE, "Kafka"),
        (asyncpg.InvalidCatalogNameError("no such database"), Code.NOT_REACHABLE, "no such database"),
        (asyncpg.InterfaceError("closed"), Code.NOT_REACHABLE, "closed"),
        (ConnectionRefusedError(111, "refused"), Code.NOT_REACHABLE, "refused"),
    ],
)
def test_whatever_is_expected_is_explained(problem: Exception, code: Code, words: str) -> None:
    assert isinstance(problem, trouble.EXPECTED)
    said = trouble.explain(problem)
    assert said.code == code and words in str(said)
