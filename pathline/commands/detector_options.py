"""Where a deployment's own detectors are: options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

HELP = "Folder of further detectors; one with a built-in's name replaces it."
FOLDER = "PATHLINE_DETECTORS"

Overrides = Annotated[
    Path | None,
    typer.Option(
        help="File of other thresholds; - is standard input.", envvar="PATHLINE_DETECTOR_OVERRIDES", allow_dash=True
    ),
]
