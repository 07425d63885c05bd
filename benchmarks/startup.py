"""The command line's response in a fresh process, against importing torch and transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import Row, Setting, compare

ROOT = Path(__file__).parents[1]
IMPORTS = "import torch; from transformers import AutoModel, AutoTokenizer"
HEAVY = ("torch", "transformers", "umap", "mauve", "sklearn", "streamlit")


def command_line(setting: Setting) -> Iterator[Row]:
    """`--help`, a verb's `--help`, `runs`, and the catalogues."""
    runs = str(setting.directory.parent)
    catalogues = (["presets"], ["generators"], ["probes"])
    for arguments in (["--help"], ["study", "--help"], ["runs", runs], *catalogues):
        loaded = heavy_imports(arguments)
        shown = " ".join(argument for argument in arguments if argument != runs)
        yield Row(
            stage=f"python -m workbench {shown}",
            peer="importing torch and transformers",
            ratio=compare(
                partial(python, "-m", "workbench", *arguments),
                partial(python, "-c", IMPORTS),
                repeats=setting.repeats(7),
            ),
            goal=40.0,
            gate=f"heavy imports: {', '.join(loaded) or 'none'}",
            gate_passed=not loaded,
        )


def python(*arguments: str) -> str:
    """Standard output of a fresh interpreter.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def heavy_imports(arguments: Sequence[str]) -> list[str]:
    """Heavy libraries that a command loads without needing them."""
    code = (
        "import sys; from workbench.cli.main import main; "
        f"code = main({list(arguments)!r}); "
        f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    last = python("-c", code).strip().splitlines()[-1]
    return last.removeprefix("loaded:").split()
