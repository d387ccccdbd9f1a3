import gc
import platform
import subprocess
import sys

import pytest

from pathline.kit import memory

CYCLES = """
import gc
from pathline.kit import memory
memory.settle()
print(gc.get_freeze_count() > 0, gc.get_threshold()[0], gc.isenabled())
"""

FAULTS = """
import resource, sys
from pathline.kit import memory
if sys.argv[1] == "settled":
    memory.settle()

def groups():
    for _ in range(50):
        b"".join([bytes(500_000) for _ in range(4)])
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

groups()
print(-(groups() - groups()))
"""


def _said(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, check=True, text=True
    ).stdout


def test_the_young_are_looked_at_less_often_and_what_was_there_not_again() -> None:
    assert _said(CYCLES).split() == ["True", str(memory.YOUNG_OBJECTS), "True"]
    assert gc.get_threshold()[0] < memory.YOUNG_OBJECTS


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives back what is asked for again at once")
def test_memory_that_is_needed_again_at_once_is_not_given_back() -> None:
    assert int(_said(FAULTS, "settled")) < 1_000 < int(_said(FAULTS, "as it is"))
