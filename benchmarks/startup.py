"""The command line's response in a fresh process, against importing torch and transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.measuring import Row, Setting, compare
from benchmarks.processes import python

IMPORTS = "import torch; from transformers import AutoModel, AutoTokenizer"
HEAVY = ("torch", "transformers", "umap", "mauve", "sklearn", "streamlit")


def command_line(setting: Setting) -> Iterator[Row]:
    """`--help`, a listing, and a catalogue."""
    runs = str(setting.directory.parent)
    for arguments in (["--help"], ["runs", runs], ["presets"]):
        loaded = heavy_imports(arguments)
        shown = " ".join(argument for argument in arguments if argument != runs)
        yield Row(
            stage=f"python -m workbench {shown}",
            peer="importing torch and transformers",
            ratio=compare(
                partial(python, "-m", "workbench", *arguments),
                partial(python, "-c", IMPORTS),
                repeats=setting.repeats(7),
                warm_up=0,
            ),
            goal=40.0,
            gate=f"heavy imports: {', '.join(loaded) or 'none'}",
            gate_passed=not loaded,
        )


def heavy_imports(arguments: Sequence[str]) -> list[str]:
    """Heavy libraries that a command loads without needing them."""
    code = (
        "import sys; from workbench.cli.main import main; "
        f"code = main({list(arguments)!r}); "
        f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    last = python("-c", code).strip().splitlines()[-1]
    return last.removeprefix("loaded:").split()
