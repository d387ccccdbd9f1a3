"""Logs: one JSON object a line, with the service, also from libraries; less important ones left out."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from pathline.kit import logging as logs
logs.configure("stitcher", "info")
log = logs.get_logger("here")
log.debug("not shown")
log.info("partition taken", partition=3)
logging.getLogger("library").warning("from %s", "a library")
logging.getLogger("aiokafka.consumer").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def test_each_line_is_an_object_with_the_service() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["partition taken", "from a library", "failed"]
    assert all(line["service"] == "stitcher" and line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["partition"] == 3 and lines[0]["logger"] == "here"
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert done.stdout == ""
