"""`pathline stages`: the stage file that a business writes. Is it right, what does it say, where to begin."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from pathline.commands.plain import plain
from pathline.commands.tables import new_table, print_table
from pathline.config import STAGE_EXAMPLES, STAGES_FILE
from pathline.contracts import stage_files, yaml_files
from pathline.contracts.stage_files import Checked
from pathline.domain.stages import Condition, StageFile, identity_of

NOT_USABLE: Final = 1
UNKNOWN: Final = 2

Json = Annotated[bool, typer.Option("--json", help="JSON.")]

app = typer.Typer(help="The stages of a journey, as a file: check, show, example.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="stages", rich_help_panel="Data")


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Stage files; - is standard input.", allow_dash=True)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Find everything that is wrong with a stage file, each with its line, column and code. A warning is no fault."""
    usable = True
    for path in files:
        checked = stage_files.check(path)
        usable = usable and checked.file is not None
        if as_json:
            _print_json(
                {"file": str(path), "usable": checked.file is not None, **_identity(checked), **_problems(checked)}
            )
            continue
        for problem in checked.problems:
            print(plain(yaml_files.said(path, problem)))
        if checked.file is not None:
            print(plain(f"{path}: {_summary(checked.file)}"))
    raise typer.Exit(0 if usable else NOT_USABLE)


@app.command()
def show(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A stage file; - is standard input. Without one, what the services here would use.",
            envvar="PATHLINE_STAGES",
            allow_dash=True,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """What a stage file says: the stages in their order, what enters each, what is wanted there."""
    path = file or STAGES_FILE
    checked = stage_files.check(path)
    if checked.file is None:
        for problem in checked.problems:
            typer.echo(plain(yaml_files.said(path, problem)), err=True)
        raise typer.Exit(NOT_USABLE)
    if as_json:
        _print_json({**_identity(checked), **msgspec.to_builtins(checked.file)})
        return
    table = new_table("stage", "", "by")
    for stage in checked.file.stages:
        _rows(table.add_row, stage.name, "entered", stage.enter)
        for action in stage.actions:
            _rows(table.add_row, "", f"wanted: {action.name}", action.done)
    _rows(table.add_row, "moments of truth", "", checked.file.moments_of_truth)
    print_table(table)
    print(f"identity {identity_of(checked.file)}")


@app.command()
def example(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(STAGE_EXAMPLES)}.")] = "default",
) -> None:
    """Print a stage file to begin with: the one that comes with Pathline, or another view in five stages."""
    path = STAGE_EXAMPLES.get(name)
    if path is None:
        typer.echo(
            f"pathline: there is no example {plain(name)}: {', '.join(STAGE_EXAMPLES)} [unknown_example]", err=True
        )
        raise typer.Exit(UNKNOWN)
    sys.stdout.write(path.read_text(encoding="utf-8"))


def _summary(file: StageFile) -> str:
    events = {event for stage in file.stages for condition in stage.enter for event in condition.event}
    actions = sum(len(stage.actions) for stage in file.stages)
    counted = ((len(file.stages), "stage"), (len(events), "event"), (actions, "action"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted) + (
        f"; identity {identity_of(file)}"
    )


def _rows(add: Any, first: str, second: str, conditions: Iterable[Condition]) -> None:
    for condition in conditions:
        add(plain(first), plain(second), plain(_words(condition)))
        first = second = ""


def _words(condition: Condition) -> str:
    """A condition in words: `track or page, on web, where status is delivered or lost`."""
    parts = []
    if condition.event:
        parts.append(", ".join(condition.event))
    if condition.type:
        parts.append(f"any {' or '.join(condition.type)}")
    if condition.channel:
        parts.append(f"on {' or '.join(condition.channel)}")
    parts += [f"where {name} is {' or '.join(values)}" for name, values in condition.where.items()]
    return "; ".join(parts)


def _identity(checked: Checked) -> dict[str, str]:
    return {} if checked.file is None else {"identity": identity_of(checked.file)}


def _problems(checked: Checked) -> dict[str, Any]:
    return {"problems": msgspec.to_builtins(checked.problems)}


def _print_json(told: dict[str, Any]) -> None:
    print(msgspec.json.encode(told).decode())
