"""Logs: one JSON object a line, with the service, also from libraries; less important ones left out."""

import json
import logging
import subprocess
import sys

from pathline.kit.logging import REPEAT_SECONDS, REPEATS_MOST, Repeats

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


def record(name: str, template: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 1, template, args, None)


def test_a_library_that_repeats_itself_is_heard_now_and_then_with_how_often() -> None:
    at = 0.0
    repeats = Repeats(now=lambda: at)
    first = record("aiokafka.cluster", "no node %s", 1)
    assert repeats.filter(first) and not hasattr(first, "suppressed")
    assert not any(repeats.filter(record("aiokafka.cluster", "no node %s", node)) for node in range(5))
    assert repeats.filter(record("aiokafka.cluster", "another thing"))
    assert repeats.filter(record("aiokafka.client", "no node %s", 1)), "another logger's is another record"
    assert all(repeats.filter(record("aiokafkas", "ours")) for _ in range(3)), "only the libraries named"
    at = REPEAT_SECONDS
    later = record("aiokafka.cluster", "no node %s", 1)
    assert repeats.filter(later) and later.__dict__["suppressed"] == 5
    at = 2 * REPEAT_SECONDS
    calm = record("aiokafka.cluster", "no node %s", 1)
    assert repeats.filter(calm) and not hasattr(calm, "suppressed")


def test_what_is_remembered_of_repeats_is_bounded() -> None:
    repeats = Repeats(now=lambda: 0.0)
    assert all(repeats.filter(record("asyncpg.pool", f"template {number}")) for number in range(3 * REPEATS_MOST))
    assert len(repeats) == REPEATS_MOST


REPEATING = """
import logging
from pathline.kit import logging as logs
logs.configure("scorer", "info")
for node in range(4):
    logging.getLogger("aiokafka").warning("node %s is away", node)
logs.REPEAT_SECONDS = 0.0
logging.getLogger("aiokafka").warning("node %s is away", 9)
"""


def test_how_many_were_left_out_stands_in_the_line() -> None:
    done = subprocess.run([sys.executable, "-c", REPEATING], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line.get("suppressed")) for line in lines] == [
        ("node 0 is away", None),
        ("node 9 is away", 3),
    ]
