"""Files of configuration that come with Pathline, and where they are."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
STAGES_FILE = DIRECTORY / "stages.yaml"
DETECTORS_DIRECTORY = DIRECTORY / "detectors"
