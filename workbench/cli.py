"""The command line: one function a verb, parsed by tyro from its signature.

Nothing heavy is imported before a verb runs, so that `--help` answers at once. Results go to
stdout (`--json` makes them one JSON object), progress to stderr, errors to one line on stderr
with the exit code of their kind.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Sequence

from workbench.errors import exit_code
from workbench.verbs import VERBS

PROGRAM = "python -m workbench"


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(VERBS)}"
        print(f"no verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    try:
        return _run(verb, rest)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in rest:
            raise
        print(f"{verb}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return exit_code(error)


def _run(verb: str, rest: list[str]) -> int:
    import tyro

    return tyro.cli(
        VERBS[verb],
        args=rest,
        prog=f"{PROGRAM} {verb}",
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _overview() -> str:
    lines = [f"usage: {PROGRAM} VERB [options]", "", "verbs:"]
    for name, function in VERBS.items():
        lines.append(f"  {name:<12} {(function.__doc__ or '').strip().splitlines()[0]}")
    return "\n".join([*lines, "", f"{PROGRAM} VERB --help shows the options of a verb."])
