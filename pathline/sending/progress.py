"""Where an import stands, kept in a file under the home, so that it goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from pathline.kit.files import write_whole
from pathline.sending.lines import Identity

FOLDER: Final = "imports"


class Position(msgspec.Struct, frozen=True):
    """Up to where a file is acked: `offset` in bytes unzipped, `line` the number of the last line before it."""

    offset: int = 0
    line: int = 0
    acked: int = 0
    """Calls stored so far."""
    refused: int = 0
    """Lines refused so far."""


class Progress:
    """The positions of files sent to one collector with one key."""

    def __init__(self, home: Path, collector: str, key_name: str) -> None:
        """Keep them under `home`; another collector or key starts anew. `key_name` is a digest, never the key."""
        self._folder = home / FOLDER
        self._where = f"{collector}-{key_name}".replace("/", "_").replace(":", "_")

    def load(self, identity: Identity) -> Position:
        """Where that file stands; at its beginning when it was never sent, or what was kept cannot be read."""
        try:
            return msgspec.json.decode(self._path(identity).read_bytes(), type=Position)
        except (OSError, msgspec.DecodeError):
            return Position()

    def save(self, identity: Identity, position: Position) -> None:
        """Keep it, all of it or nothing. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(identity), msgspec.json.encode(position), 0o644)

    def _path(self, identity: Identity) -> Path:
        return self._folder / f"{self._where}-{identity.key}.json"
