"""Tables as the commands print them: whole lines, also where there is no terminal to fit them into."""

import sys

from rich.console import Console
from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 1_000
"""Wide enough that no cell is ever folded in a file or a pipe, where `grep` wants one line a row."""


def new_table(*columns: str) -> Table:
    """A plain table."""
    return Table(*columns, box=None, pad_edge=False)


def print_table(table: Table) -> None:
    """Write it to standard output."""
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")
