"""Detectors as files: YAML, one a detector. Every mistake at once, each with its line, column and a stable code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pathline.config import SERVICE_FILE
from pathline.contracts import detector_examples, yaml_files
from pathline.contracts.holiday_regions import calendar_of
from pathline.contracts.typed_yaml import MAX_PARTS, Form, TooManyPartsError
from pathline.contracts.yaml_files import FileError, Problem, said
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.guards import MAX_LENGTH
from pathline.domain.detectors.rules import DetectorError, DetectorFile, Override, ServiceRule, Threshold

BUILT_IN: Final = Path(__file__).parent.parent / "config" / "detectors"

MAX_FILES: Final = 500

MAX_PROBLEMS: Final = 100
"""Problems of one file that are told."""

MAX_FACTOR: Final = 10
"""How many times as long a service timer can be for a segment."""

T = TypeVar("T")

SUFFIXES: Final = frozenset({".yaml", ".yml"})

CODES: Final[Mapping[str, str]] = {
    "no_file": "The file or the folder cannot be read.",
    "file_too_large": f"It is larger than {yaml_files.MAX_BYTES:,} bytes, or its aliases make more than {MAX_PARTS:,}"
    " parts of it.",
    "not_utf8": "A byte is no UTF-8.",
    "not_yaml": "It is not YAML; the place is where it could not be read on.",
    "wrong_type": "Something else is needed here, such as a list instead of a text.",
    "missing_field": "A field that is needed is missing.",
    "unknown_field": "There is no field of that name here.",
    "duplicate_field": "The field stands here twice.",
    "not_one_of": "The word is none of those that can stand here.",
    "bad_name": "The name is not lower case letters, digits and underscores, or a threshold is called `runs`.",
    "bad_title": "In a title only {kind} and {value} can be filled in.",
    "one_of_two": "Exactly one of two fields must be given, or at most one: the message says which.",
    "goes_together": "The field needs another one beside it.",
    "empty_list": "The list is empty, so nothing could ever be meant.",
    "too_many": "There are more than can be.",
    "too_many_files": f"The folder holds more than {MAX_FILES} files.",
    "unknown_kind": "Detectors look at no things of that kind.",
    "unknown_fact": "Nothing of that name, or of that shape, is known of things of the kind.",
    "only_marks": "The field is for marks alone, and here stands an instant.",
    "unknown_threshold": "The file has no threshold of that name, or it is no span where one is needed.",
    "bad_span": "It is no span of time (100ms, 30s, 15m, 24h, 3d, 2wd), or too long, or may not be in working days.",
    "bad_number": "It is no number, or one that cannot be meant here.",
    "bad_steps": "The steps of severity are not in order, or the first has a condition.",
    "bad_override": "An override has a value that its threshold cannot have.",
    "bad_expression": "The guard is no expression in CEL that is true or false.",
    "unknown_name": "The guard names something that is not known.",
    "too_long": f"The guard is longer than {MAX_LENGTH} characters.",
    "bad_example": "An example cannot be run: the message says what is wrong with it.",
    "unknown_detector": "There is no detector of that name.",
    "duplicate_detector": "A warning: of two files that name one detector, the later in the order of names counts.",
    "unknown_region": "There is no calendar of working days for that region.",
}
"""Every stable code, and what it means."""


class Checked(msgspec.Struct, frozen=True):
    """What came of reading a file: `file` is None where something is wrong with it."""

    file: DetectorFile | None
    problems: tuple[Problem, ...]
    places: Mapping[str, tuple[int, int]] = {}
    """Line and column of every field."""


class UnusableError(DetectorError):
    """A file cannot be used; it says all that is wrong, a line each."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        """Carry the `problems` of the file at `path`."""
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(said(path, problem) for problem in self.problems))


class OverridesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment sets for itself: other thresholds, and whose service timers are shorter."""

    overrides: tuple[dict[str, Threshold], ...] = ()
    service: tuple[ServiceRule, ...] | None = None
    """None: the rules that come with Pathline."""


class Settings(msgspec.Struct, frozen=True):
    """The same, ready to be compiled in."""

    overrides: tuple[Override, ...] = ()
    service: tuple[ServiceRule, ...] | None = None


def load(folder: Path | None = None, overrides: Path | None = None, region: str | None = None) -> Detectors:
    """The detectors of a deployment: the built-in ones, then those of `folder`, of which one of the same name counts.

    Args:
        folder: a folder with further `*.yaml` files.
        overrides: a YAML file, or `-` for standard input:
            `overrides: [{detector: ..., namespace: ..., segment: ..., a threshold: ...}]`, and perhaps `service`.
        region: whose working days count, as DE or DE-BY; None: Monday to Friday.

    Raises:
        DetectorError: it names the file, and the line of each mistake.
    """
    files = [*built_in(), *(map(read, paths(folder)) if folder is not None else ())]
    used = {file.name: file for file in files}
    for file in used.values():
        if file.warns_of is not None and file.warns_of not in used:
            message = f"{file.name}: warns_of: there is no detector {file.warns_of!r}"
            raise DetectorError(message)
    given = read_overrides(overrides) if overrides else Settings()
    return compiled(used.values(), given, region)


def compiled(files: Iterable[DetectorFile], given: Settings, region: str | None = None) -> Detectors:
    """Files that can be used, with what a deployment sets. Raises DetectorError."""
    listed = list(files)
    # A folder's own overrides count like the built-in ones; only the overrides file outranks both.
    own = [override for file in listed for override in checks.overrides_of(file)]
    service = read_overrides(SERVICE_FILE).service or () if given.service is None else given.service
    return Detectors(listed, [*own, *given.overrides], service, calendar_of(region))


@cache
def built_in() -> tuple[DetectorFile, ...]:
    """The detectors that come with Pathline, read once a process: reading their examples takes longer than all else."""
    return tuple(map(read, paths(BUILT_IN)))


def read(path: Path) -> DetectorFile:
    """One detector. Raises UnusableError."""
    checked = check(path)
    if checked.file is None:
        raise UnusableError(path, checked.problems)
    return checked.file


def check(path: Path) -> Checked:
    """Read a file, or standard input for `-`, and find everything that is wrong with it."""
    found, problems, form = _formed(path, DetectorFile)
    if found is None or form is None:
        return Checked(None, _told(problems))
    for fault in (*checks.faults(found), *detector_examples.faults(found)):
        within = None if fault.flaw is None else (fault.flaw.line, fault.flaw.column)
        form.note(fault.field, fault.code, fault.words, within)
    told = _told(form.problems)
    return Checked(None if told else found, told, form.places)


def read_overrides(path: Path) -> Settings:
    """What a deployment sets, in a file or for `-` on standard input. Raises UnusableError."""
    found, problems, form = _formed(path, OverridesFile)
    if found is None or form is None:
        raise UnusableError(path, _told(problems))
    listed = []
    for place, values in enumerate(found.overrides):
        try:
            listed.append(checks.read_override(values))
        except DetectorError as error:
            form.note(f"overrides[{place}]", "bad_override", str(error))
    for place, rule in enumerate(found.service or ()):
        if not 0 < rule.factor <= MAX_FACTOR:
            form.note(f"service[{place}].factor", "bad_number", f"a factor is above 0 and at most {MAX_FACTOR}")
    if form.problems:
        raise UnusableError(path, _told(form.problems))
    service = found.service
    lower = None if service is None else tuple(ServiceRule(one.segment.lower(), one.factor) for one in service)
    return Settings(tuple(listed), lower)


def paths(folder: Path) -> list[Path]:
    """The files of a folder, in the order of their names; a file that is named is itself. Raises UnusableError."""
    if folder == yaml_files.STANDARD_INPUT or folder.is_file():
        return [folder]
    try:
        found = listing(folder)
    except OSError as error:
        raise UnusableError(folder, [Problem(0, 0, "no_file", error.strerror or str(error))]) from error
    if len(found) > MAX_FILES:
        raise UnusableError(folder, [Problem(0, 0, "too_many_files", f"more than {MAX_FILES} detectors")])
    return found


def listing(folder: Path) -> list[Path]:
    """The files of detectors in a folder, in the order of their names, however many. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def _formed(path: Path, of: type[T]) -> tuple[T | None, list[Problem], Form | None]:
    """What a file holds, as far as its form goes."""
    try:
        node = yaml_files.compose(path)
        if node is None:
            return None, [Problem(0, 0, "missing_field", "there is nothing in it")], None
        form = Form(node, of)
        if form.problems:
            return None, form.problems, form
        return msgspec.convert(yaml_files.builtins_of(node), of), [], form
    except FileError as error:
        return None, [error.problem], None
    except TooManyPartsError:
        return None, [Problem(0, 0, "file_too_large", CODES["file_too_large"])], None
    except (msgspec.ValidationError, ValueError) as error:
        return None, [Problem(0, 0, "wrong_type", str(error))], None


def _told(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems)))[:MAX_PROBLEMS]
