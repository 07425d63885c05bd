"""The command line: one function per verb; tyro parses its arguments from its signature.

Nothing heavy is imported before a verb runs, so that `--help` answers at once. Results go to
stdout (`--json` makes them one JSON object), progress to stderr, errors to one line on stderr
with the exit code of their kind.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from workbench.cli.verbs import VERBS
from workbench.errors import InputError, exit_code
from workbench.machine.terminal import drop_output, prepare_streams, reader_has_left, say

PROGRAM = "python -m workbench"
BOX = re.compile(r"[╭╮╰╯│]")
RULE = re.compile(r"[─-]{3,}")
OPTION = re.compile(r"--[a-z][\w-]*")


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    prepare_streams()
    debug = "--debug" in arguments
    if debug:
        os.environ["WORKBENCH_DEBUG"] = "1"  # for the processes that a verb starts
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_has_left():
            return 0  # they have seen enough
        if debug:
            raise
        say(f"{arguments[0]}: {' '.join(str(error).split()) or type(error).__name__}")
        return exit_code(error)
    finally:
        drop_output()


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else InputError.exit_code
    verb, *rest = arguments
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(VERBS)}"
        say(f"no verb {verb!r}; {hint}")
        return InputError.exit_code
    try:
        return parse(verb, rest)()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else InputError.exit_code


def parse(verb: str, arguments: Sequence[str]) -> Callable[[], int]:
    """The verb with its options bound, ready to run.

    Without arguments there is nothing to parse: a verb that needs none is ready as it is. Setting
    up the parser takes longer than a short verb's own work.

    Raises:
        InputError: an option is unknown, missing or of the wrong type.
        SystemExit: help was asked for and is printed.
    """
    function = VERBS[verb]
    if not arguments and _needs_no_arguments(function):
        return function
    import tyro

    @functools.wraps(function)
    def bind(*positional: Any, **options: Any) -> Callable[[], int]:
        return functools.partial(function, *positional, **options)

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                bind,
                args=list(arguments),
                prog=f"{PROGRAM} {verb}",
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(one_line(complaint.getvalue())) from None


def _needs_no_arguments(function: Callable[..., int]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return all(parameter.default is not parameter.empty for parameter in parameters)


def one_line(complaint: str) -> str:
    """Tyro's error box as one line: its first section, and the option it suggests."""
    lines = [BOX.sub(" ", line).strip() for line in complaint.splitlines()[1:]]
    text = " ".join("\n" if RULE.fullmatch(line) else line for line in lines)
    sections = [section for section in text.split("\n") if section.strip()]
    what = " ".join(sections[0].partition("Got errors:")[0].split())
    near = [name for section in sections if "meant" in section for name in OPTION.findall(section)]
    return f"{what.rstrip('.')}; did you mean {near[0]}?" if near else f"{what}; see --help"


def _overview() -> str:
    lines = [f"usage: {PROGRAM} VERB [options]", "", "verbs:"]
    for name, function in VERBS.items():
        lines.append(f"  {name:<12} {(function.__doc__ or '').strip().splitlines()[0]}")
    return "\n".join([*lines, "", f"{PROGRAM} VERB --help shows the options of a verb."])
