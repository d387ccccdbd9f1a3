"""Detectors as files: YAML, one a detector, in a folder. What is wrong is said with the file and the field."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pathline.contracts import yaml_files
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import DetectorError, DetectorFile, Override

BUILT_IN: Final = Path(__file__).parent.parent / "config" / "detectors"

MAX_FILES: Final = 500


def load(folder: Path | None = None, overrides: Path | None = None) -> Detectors:
    """The detectors of a deployment: the built-in ones, then those of `folder`, of which one of the same name counts.

    Args:
        folder: a folder with further `*.yaml` files.
        overrides: a YAML file, or `-` for standard input:
            `overrides: [{detector: ..., namespace: ..., a threshold: ...}]`.

    Raises:
        DetectorError: it names the file and the field.
    """
    files = [read(path) for where in (BUILT_IN, folder) if where is not None for path in _paths(where)]
    # A folder's own overrides count like the built-in ones; only the overrides file outranks both.
    used = {file.name: file for file in files}
    for file in used.values():
        if file.warns_of is not None and file.warns_of not in used:
            message = f"{file.name}: warns_of: there is no detector {file.warns_of!r}"
            raise DetectorError(message)
    given = [override for file in used.values() for override in checks.overrides_of(file)]
    return Detectors(used.values(), [*given, *(read_overrides(overrides) if overrides else ())])


def read(path: Path) -> DetectorFile:
    """One detector. Raises DetectorError."""
    try:
        return checks.read(_yaml(path))
    except DetectorError as error:
        raise DetectorError(_where(path, error)) from error


def read_overrides(path: Path) -> list[Override]:
    """The overrides of a file. Raises DetectorError."""
    data = _yaml(path)
    listed = data.get("overrides") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise DetectorError(_where(path, "overrides: a list is needed"))
    try:
        return [checks.read_override(one) for one in listed]
    except DetectorError as error:
        raise DetectorError(_where(path, error)) from error


def _paths(folder: Path) -> Iterable[Path]:
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError as error:
        raise DetectorError(_where(folder, error.strerror)) from error
    if len(paths) > MAX_FILES:
        raise DetectorError(_where(folder, f"more than {MAX_FILES} detectors"))
    return paths


def _yaml(path: Path) -> Any:
    try:
        return yaml_files.builtins_of(yaml_files.compose(path))
    except yaml_files.FileError as error:
        raise DetectorError(_where(path, error)) from error


def _where(path: Path, what: object) -> str:
    return f"{path}: {what}"
