import gc
import subprocess
import sys

from pathline.kit import garbage

PROGRAM = """
import gc
from pathline.kit import garbage
garbage.calm()
print(gc.get_freeze_count() > 0, gc.get_threshold()[0], gc.isenabled())
"""


def test_the_young_are_looked_at_less_often_and_what_was_there_not_again() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert said.stdout.split() == ["True", str(garbage.YOUNG_OBJECTS), "True"]
    assert gc.get_threshold()[0] < garbage.YOUNG_OBJECTS
