"""`pathline detectors`: the files that an analyst writes. Are they right, do they what they should, which are there."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from pathline.commands import proving, trials
from pathline.commands.detector_options import FOLDER, HELP, Overrides
from pathline.commands.plain import plain
from pathline.commands.tables import new_table, print_table
from pathline.contracts import detector_files, yaml_files
from pathline.contracts.detector_files import BUILT_IN, Checked, UnusableError
from pathline.contracts.detector_folder import Folder, Loaded
from pathline.contracts.yaml_files import Problem, like
from pathline.domain.detectors.rules import DetectorFile, Threshold
from pathline.kit.settings import Settings

NOT_USABLE: Final = 1

Json = Annotated[bool, typer.Option("--json", help="JSON.")]

app = typer.Typer(help="Detectors as files: check, test, list; live, shadow.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    trials.register(app)
    parent.add_typer(app, name="detectors", rich_help_panel="Data")


@app.command()
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR|FILE...", help="Folders and files of detectors; - is standard input.", allow_dash=True
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Find everything that is wrong with detectors, each fault with its line, column and code."""
    checked = _checked(paths)
    for path, one in checked.items():
        if as_json:
            _print_json({"file": str(path), "usable": one.file is not None, **_head(one.file), **_problems(one)})
            continue
        for problem in one.problems:
            print(plain(yaml_files.said(path, problem)))
        if one.file is not None:
            print(plain(f"{path}: {_summary(one.file)}"))
    raise typer.Exit(0 if all(one.file is not None for one in checked.values()) else NOT_USABLE)


@app.command("test")
def run_examples(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR|FILE...",
            help="Folders and files; - is standard input. None: the built-in ones and PATHLINE_DETECTORS.",
            allow_dash=True,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Run the examples in detectors' files, each among all detectors, and say what came otherwise than expected."""
    own = os.environ.get(FOLDER)
    checked = _checked(paths or [BUILT_IN, *([Path(own)] if own else [])])
    files = [one.file for one in checked.values() if one.file is not None]
    together = proving.among(files)
    usable = True
    for path, one in checked.items():
        if one.file is None:
            usable = False
            told = {"file": str(path), "usable": False, **_problems(one)}
            lines = [yaml_files.said(path, problem) for problem in one.problems]
        else:
            hidden = together.files[one.file.name] is not one.file
            tested = proving.prove(path, one, one.file, proving.among([*files, one.file]) if hidden else together)
            usable = usable and tested.holds
            told, lines = tested.told(), list(tested.lines())
        if as_json:
            _print_json(told)
        else:
            for line in lines:
                print(plain(line))
    raise typer.Exit(0 if usable else NOT_USABLE)


@app.command(name="list")
def list_detectors(
    folder: Annotated[Path | None, typer.Argument(help=HELP, envvar=FOLDER)] = None,
    *,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Which detectors the services here would run. Which of them are on trial is known to the database alone."""
    loaded = Folder(folder, overrides, Settings.load().holidays).load()
    rows = [_row(name, loaded) for name in sorted(loaded.detectors.files)]
    if as_json:
        _print_json({"detectors": rows, "faults": msgspec.to_builtins(loaded.faults)})
    else:
        table = new_table("detector", "version", "ease", "of", "thresholds", "file")
        for row in rows:
            thresholds = [_words(row["thresholds"]), *(_override_words(one) for one in row["overrides"])]
            cells = (row["name"], str(row["version"]), row["ease"], ", ".join(row["of"]), "; ".join(thresholds))
            table.add_row(*map(plain, (*cells, row["file"] or "built in")))
        print_table(table)
    for fault in loaded.faults:
        place = f":{fault.line}" if fault.line else ""
        typer.echo(plain(f"{fault.file}{place}: {fault.message} [{fault.code}]"), err=True)
    raise typer.Exit(NOT_USABLE if loaded.faults else 0)


def _checked(paths: Iterable[Path]) -> dict[Path, Checked]:
    """Every file of these, each once; a folder that cannot be read is its own problem."""
    found: dict[Path, Checked] = {}
    for named in paths:
        try:
            listed = detector_files.paths(named)
        except UnusableError as error:
            found[named] = Checked(None, error.problems)
            continue
        if not listed:
            found[named] = Checked(None, (Problem(0, 0, "no_file", "there is no *.yaml in the folder"),))
        for path in listed:
            if path not in found:
                found[path] = detector_files.check(path)
    return _among_others(found)


def _among_others(found: Mapping[Path, Checked]) -> dict[Path, Checked]:
    """The same, with what is wrong only beside the others: a detector that is not there, or is there twice."""
    names = {path.stem for path in BUILT_IN.glob("*.yaml")}
    names |= {one.file.name for one in found.values() if one.file is not None}
    last = {one.file.name: path for path, one in found.items() if one.file is not None}
    told = {}
    for path, one in found.items():
        told[path] = one
        if one.file is None:
            continue
        name, warns_of = one.file.name, one.file.warns_of
        if warns_of is not None and warns_of not in names:
            words = f"warns_of: there is no detector {warns_of!r} here or built in{like(warns_of, names)}"
            told[path] = Checked(None, (Problem(*one.places["warns_of"], "unknown_detector", words),))
        elif last[name] != path:
            words = f"name: {last[name]} names {name!r} too, and that one counts"
            problem = Problem(*one.places["name"], "duplicate_detector", words, warning=True)
            told[path] = msgspec.structs.replace(one, problems=(problem,))
    return told


def _summary(file: DetectorFile) -> str:
    family = "a deadline" if file.deadline is not None else "marks" if file.marks is not None else "risk"
    return f"{file.name}, version {file.version}, of {', '.join(file.entity)}, by {family}"


def _head(file: DetectorFile | None) -> dict[str, Any]:
    return {} if file is None else {"name": file.name, "version": file.version}


def _problems(checked: Checked) -> dict[str, Any]:
    return {"problems": msgspec.to_builtins(checked.problems)}


def _row(name: str, loaded: Loaded) -> dict[str, Any]:
    """A detector; its thresholds are those that count for all, and `overrides` what differs for some."""
    file = loaded.detectors.files[name]
    thresholds, special = dict(file.thresholds), []
    for one in loaded.detectors.overrides:
        if one.detector != name:
            continue
        if one.namespace is None and one.segment is None:
            thresholds |= one.values
        else:
            special.append({"namespace": one.namespace, "segment": one.segment, "values": one.values})
    return {
        "name": name,
        "version": file.version,
        "title": file.title,
        "ease": file.ease,
        "of": list(file.entity),
        "thresholds": thresholds,
        "overrides": special,
        "file": loaded.files[name],
    }


def _words(thresholds: Mapping[str, Threshold]) -> str:
    said = {name: str(told).lower() if isinstance(told, bool) else told for name, told in thresholds.items()}
    return ", ".join(f"{name} {told}" for name, told in said.items()) or "-"


def _override_words(override: Mapping[str, Any]) -> str:
    """`in luxury for vip: patience 5m`."""
    where = [f"in {override['namespace']}"] if override["namespace"] is not None else []
    whose = [f"for {override['segment']}"] if override["segment"] is not None else []
    return f"{' '.join([*where, *whose])}: {_words(override['values'])}"


def _print_json(told: Mapping[str, Any]) -> None:
    print(msgspec.json.encode(told).decode())
