"""Files of configuration that come with Pathline, and where they are."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
STAGES_FILE = DIRECTORY / "stages.yaml"
STAGE_EXAMPLES = {"default": STAGES_FILE, "five": DIRECTORY / "stages_five.yaml"}
"""Stage files to start one's own from, by name."""
DETECTORS_DIRECTORY = DIRECTORY / "detectors"
SERVICE_FILE = DIRECTORY / "service.yaml"
"""Whose timers of service are shorter."""
