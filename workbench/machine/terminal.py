"""What is printed reaches its reader, whatever the terminal, and never ends a computation."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def prepare_streams() -> None:
    """Print what an encoding lacks with escapes; let a closed stdout or stderr swallow everything.

    A result that took hours to compute is not lost to a terminal that cannot show one letter of it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before we began, as by `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def console(**options: Any) -> Console:
    """A rich console that raises `BrokenPipeError` like `print`; rich itself would exit."""
    from rich.console import Console

    class RaisingConsole(Console):
        def on_broken_pipe(self) -> None:
            raise

    return RaisingConsole(**options)


def say(text: str) -> None:
    """One line on stderr, if anybody can still read it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def reader_has_left() -> bool:
    """Whether stdout or stderr is a pipe whose other end is closed, as after `| head`."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # no file stands behind it
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def drop_output() -> None:
    """Send what is still buffered for stdout and stderr nowhere, so that Python's exit is quiet."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
