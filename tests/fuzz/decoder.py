"""The decoder under libFuzzer, guided by what it covers: `python -m tests.fuzz.decoder CORPUS... -runs=N -seed=N`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["services.ingest", "pathline.contracts", "pathline.domain"]):
    from tests.fuzz.judge import judge


def _judge(data: bytes) -> None:
    judge(data)


def main() -> None:
    """Run until the arguments' bound, or end at the first fault."""
    atheris.Setup(sys.argv, _judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
