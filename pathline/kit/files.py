"""Small files that are there as a whole or not at all, whoever reads them meanwhile."""

import os
from pathlib import Path


def write_whole(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    """Write a small file in one step, readable by `mode`; text in UTF-8. Raises OSError, UnicodeEncodeError."""
    whole = data.encode() if isinstance(data, str) else data
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(whole)
    draft.replace(path)
