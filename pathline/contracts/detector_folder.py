"""The detectors of a deployment as its files stand: what can be used is, and what is wrong is said of each file.

A service goes on with the last good version of a file that became bad. One that starts with a bad file has none: the
built-in of that name runs instead, or nothing. Which the bad file meant to replace cannot be read off it, and what an
earlier process had made of it may be what somebody just took back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from pathline.contracts import detector_files
from pathline.contracts.detector_files import MAX_FILES, UnusableError
from pathline.domain.detectors import checks
from pathline.domain.detectors.compiled import Detectors
from pathline.domain.detectors.rules import DetectorError, DetectorFile

MAX_MESSAGE: Final = 500
"""Characters of what is wrong with a file."""

UNUSABLE: Final = "unusable"
"""The code of a fault that has no better one."""


class FileFault(msgspec.Struct, frozen=True):
    """What is wrong with a file, and what runs instead. `line` counts from 1, and is 0 for the file as a whole."""

    file: str
    line: int
    code: str
    message: str
    last_good: bool
    """Whether the version before runs on."""


class Loaded(msgspec.Struct, frozen=True):
    """What runs."""

    detectors: Detectors
    files: Mapping[str, str | None]
    """For each detector the name of its file; None for a built-in."""
    faults: tuple[FileFault, ...]
    identity: str
    """The same for processes that run the same rules."""
    folder_known: bool = True
    """False where the folder cannot be read: then nothing was taken away."""

    @property
    def faulty(self) -> frozenset[str]:
        """Names of files that are not as somebody wrote them: what they held before is not removed."""
        return frozenset(fault.file for fault in self.faults)


class Folder:
    """The files of a deployment, read again and again."""

    def __init__(self, folder: Path | None = None, overrides: Path | None = None, region: str | None = None) -> None:
        """Read those of `folder` on top of the built-in ones, and a file of `overrides`; `region`: its working days."""
        self._folder = folder
        self._overrides = overrides
        self._region = region
        self._good: dict[Path, DetectorFile] = {}
        self._good_overrides = detector_files.Settings()

    def signature(self) -> tuple[object, ...]:
        """Differs once a file was written, replaced, added or taken away."""
        watched: list[Path] = [] if self._folder is None else [self._folder, *_listing(self._folder)]
        return tuple(map(_stamp, watched if self._overrides is None else [*watched, self._overrides]))

    def load(self) -> Loaded:
        """Everything as it stands now. Raises DetectorError for a fault in what comes with Pathline."""
        faults: list[FileFault] = []
        built_in = {file.name: file for file in detector_files.built_in()}
        theirs: dict[str, tuple[DetectorFile, Path]] = {}
        listed = self._paths(faults)
        for path in sorted(self._good) if listed is None else listed:
            file = self._good[path] if listed is None else self._read(path, faults)
            if file is not None:
                theirs[file.name] = (file, path)
        used = self._known(built_in, theirs, faults)
        detectors = self._compiled(used.values(), faults)
        names: dict[str, str | None] = {
            name: theirs[name][1].name if theirs.get(name, (None,))[0] is file else None for name, file in used.items()
        }
        return Loaded(detectors, names, tuple(faults), _identity(detectors), folder_known=listed is not None)

    def _paths(self, faults: list[FileFault]) -> list[Path] | None:
        """The files there are; None where that is not known, so that what ran before runs on."""
        if self._folder is None:
            return []
        try:
            paths = detector_files.listing(self._folder)
        except OSError as error:
            faults.append(_fault(self._folder, error.strerror or str(error), "no_folder", last_good=bool(self._good)))
            return None
        if len(paths) > MAX_FILES:
            said = f"more than {MAX_FILES} detectors"
            faults.append(_fault(self._folder, said, "too_many_files", last_good=bool(self._good)))
            return None
        self._good = {path: file for path, file in self._good.items() if path in paths}
        return paths

    def _read(self, path: Path, faults: list[FileFault]) -> DetectorFile | None:
        """The detector of a file, or the last good one that was there."""
        try:
            file = detector_files.read(path)
            Detectors([file], checks.overrides_of(file))
        except DetectorError as error:
            kept = self._good.get(path)
            faults.append(_fault_of(path, error, last_good=kept is not None))
            return kept
        self._good[path] = file
        return file

    @staticmethod
    def _known(
        built_in: Mapping[str, DetectorFile],
        theirs: Mapping[str, tuple[DetectorFile, Path]],
        faults: list[FileFault],
    ) -> dict[str, DetectorFile]:
        """What runs by name; a file that warns of a detector which is not there does not."""
        used = {**built_in, **{name: file for name, (file, _path) in theirs.items()}}
        for name, (file, path) in theirs.items():
            if file.warns_of is not None and file.warns_of not in used:
                message = f"warns_of: there is no detector {file.warns_of!r}"
                faults.append(_fault(path, message, "unknown_detector", last_good=False))
                del used[name]
                if name in built_in:
                    used[name] = built_in[name]
        return used

    def _compiled(self, files: Iterable[DetectorFile], faults: list[FileFault]) -> Detectors:
        """The detectors with the overrides; without them where they cannot be used, nor could before."""
        listed = list(files)
        try:
            given = detector_files.Settings()
            if self._overrides is not None:
                given = detector_files.read_overrides(self._overrides)
            detectors = detector_files.compiled(listed, given, self._region)
        except DetectorError as error:
            if self._overrides is None:
                raise
            faults.append(
                _fault_of(self._overrides, error, last_good=self._good_overrides != detector_files.Settings())
            )
            given = self._good_overrides
            try:
                detectors = detector_files.compiled(listed, given, self._region)
            except DetectorError:
                given = detector_files.Settings()
                detectors = detector_files.compiled(listed, given, self._region)
        self._good_overrides = given
        return detectors


def _identity(detectors: Detectors) -> str:
    """Of all that counts in judging; examples do not."""
    files = [msgspec.structs.replace(detectors.files[name], examples=()) for name in sorted(detectors.files)]
    days = sorted(detectors.calendar.holidays), sorted(detectors.calendar.weekend)
    content = files, detectors.overrides, detectors.service, days
    return blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()


def _listing(folder: Path) -> list[Path]:
    try:
        return detector_files.listing(folder)[: MAX_FILES + 1]
    except OSError:
        return []


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        found = path.stat()
    except OSError:
        return (str(path),)
    return str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _fault_of(path: Path, error: DetectorError, *, last_good: bool) -> FileFault:
    """The first of its mistakes, and how many more there are."""
    if not isinstance(error, UnusableError):
        return _fault(path, str(error), UNUSABLE, last_good=last_good)
    first, more = error.problems[0], len(error.problems) - 1
    message = first.message + (f" (and {more} more)" if more else "")
    return _fault(path, message, first.code, last_good=last_good, line=first.line)


def _fault(path: Path, message: str, code: str, *, last_good: bool, line: int = 0) -> FileFault:
    return FileFault(path.name, line, code, message[:MAX_MESSAGE], last_good)
