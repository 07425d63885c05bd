"""A study as a process of its own: started by the command line, waited for, killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from workbench.store.lock import read_holder

ROOT = Path(__file__).parents[2]


def start_study(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """`python -m workbench study` into a folder, in a process group of its own."""
    command = [sys.executable, "-m", "workbench", "study", *arguments, "--quiet"]
    return subprocess.Popen(
        [*command, "--out", str(directory)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_free(directory: Path) -> None:
    """Return once no orphaned worker holds the study or one of its runs."""
    deadline = time.monotonic() + 60
    while any(read_holder(lock.parent) for lock in directory.rglob(".lock")):
        assert time.monotonic() < deadline, "an orphan still holds a run"
        time.sleep(0.05)
