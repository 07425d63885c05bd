"""Tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from workbench.machine.terminal import console

UNBOUNDED = 1_000_000  # columns of a page without an edge


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True
) -> None:
    """Print rows; number columns after the first are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(
            Text(name), justify="right" if numbers and number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if sys.stdout.isatty():
        console().print(table)
        return
    # Files and pipes have no width: every row is one line.
    width = console(width=UNBOUNDED, height=1).measure(table).maximum
    console(width=width, height=1).print(table, soft_wrap=True)
