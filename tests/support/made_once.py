"""Costly folders: the first test process that needs one makes it, every process copies it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(name: str, make: Callable[[Path], object], factory: pytest.TempPathFactory) -> Path:
    """This process's own copy of the folder that `make` fills in whichever process asks first.

    A copy, because tests lock studies and compare change times.
    """
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    made = session / "made-once" / name
    made.parent.mkdir(exist_ok=True)
    with FileLock(made.with_suffix(".lock")):
        if not made.is_dir():
            unfinished = made.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(made)
    return Path(shutil.copytree(made, factory.mktemp(name) / name))
