"""Bytes that nobody thought of, to the decoder: libFuzzer's, guided by what they cover, and plain chance's."""

from __future__ import annotations

import platform
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.judge import judge, seeds

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
CORPUS: Final = sorted((HERE / "corpus").iterdir())
RUNS: Final = 30_000
"""Executions of libFuzzer in a run of the tests: a few seconds. `make fuzz` takes its time."""

HAS_WHEEL: Final = sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 14)
"""Whether there is an atheris for this Python; pyproject.toml asks for it where there is."""


@pytest.mark.parametrize("found", CORPUS, ids=lambda path: path.name)
def test_what_was_found_before_is_judged(found: Path) -> None:
    judge(found.read_bytes())


def test_the_list_of_bad_input_is_judged_in_every_way() -> None:
    for seed in seeds():
        for how in range(128):
            judge(bytes([how]) + seed[1:])


def test_what_chance_makes_of_all_that_is_judged() -> None:
    chance = random.Random(1)
    known = [*seeds(), *(path.read_bytes() for path in CORPUS)]
    for _ in range(3_000):
        judge(_changed(chance.choice(known), chance, known))


def _changed(data: bytes, chance: random.Random, known: list[bytes]) -> bytes:
    """The bytes with a few things done to them."""
    for _ in range(chance.randint(1, 4)):
        begin, end = sorted(chance.randint(0, len(data)) for _ in range(2))
        other = chance.choice(known)
        piece = other[chance.randint(0, len(other)) :][: chance.randint(0, 40)]
        data = chance.choice(
            (data[:begin] + data[end:], data[:begin] + piece + data[begin:], data[:end] + data[begin:])
        )
        data = data[:4_096]
    return data


@pytest.mark.skipif(not HAS_WHEEL, reason="no atheris for this Python and machine")
def test_what_libfuzzer_makes_of_it_is_judged(tmp_path: Path) -> None:
    for number, seed in enumerate(seeds()):
        (tmp_path / f"{number}").write_bytes(seed)
    bounds = (f"-runs={RUNS}", "-seed=1", "-max_len=4096", f"-dict={HERE / 'decoder.dict'}")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.decoder",
            tmp_path,
            HERE / "corpus",
            *bounds,
            f"-artifact_prefix={tmp_path}/",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-5_000:]
    assert f"Done {RUNS} runs" in ran.stderr
