"""Tables on stdout: one line a row where nobody looks, however wide."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRINTED = """
from workbench.cli.table import print_table
print_table(["metric", "value", "long"], [["a" * 130, "1.5", "b c " * 30], ["x", "2", "y"]])
"""


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color", ""])
@pytest.mark.parametrize("columns", ["", "40"])
def test_piped_table_is_neither_folded_nor_cut(terminal, columns):
    environment = {**os.environ, "TERM": terminal, "COLUMNS": columns, "FORCE_COLOR": ""}
    done = subprocess.run(
        [sys.executable, "-c", PRINTED],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "a" * 130 in lines[1]
    assert ("b c " * 30).strip() in lines[1]
    assert lines[2].split() == ["x", "2", "y"]
