"""`pathline bench`: the figures of docs/benchmarks.md, measured anew. It lives with the tests, in the checkout."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pathline.embedded.trouble import Code, TroubleError

CHECKOUT = Path(__file__).parents[2]
MODULE = "tests.bench"


class Bench(StrEnum):
    """What can be measured alone."""

    COLLECTOR = "collector"
    OVERLOAD = "overload"
    MEMORY = "memory"
    IMPORT = "import"
    STITCHER = "stitcher"
    SCORER = "scorer"
    DEADLINES = "deadlines"
    STORAGE = "storage"
    BACKTEST = "backtest"
    REBUILD = "rebuild"
    WHOLE = "whole"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="bench", rich_help_panel="Platform")(bench)


def bench(
    *,
    only: Annotated[list[Bench] | None, typer.Option("--only", help="Measure this alone; may be given again.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The long ones shorter; the page stays as it is.")] = False,
    as_json: Annotated[str | None, typer.Option("--json", help="Also write the figures here; - for output.")] = None,
) -> None:
    """The figures, as ratios: a table, and docs/benchmarks.md brought up to date. Needs a checkout; forty minutes."""
    if not (CHECKOUT / "tests" / "bench" / "__main__.py").exists():
        said = f"The benches are in the checkout's tests/bench, and {CHECKOUT} has none. Run it from a checkout."
        raise TroubleError(Code.PART_FAILED, said)
    output = as_json if as_json in {None, "-"} else str(Path(as_json or "").absolute())
    arguments = [
        *(f"--only={name}" for name in only or ()),
        *(["--quick"] if quick else []),
        *([] if output is None else [f"--json={output}"]),
    ]
    done = subprocess.run([sys.executable, "-m", MODULE, *arguments], cwd=CHECKOUT, check=False)
    raise typer.Exit(done.returncode)
