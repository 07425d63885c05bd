"""Errors that end a command, each with the exit code a script can act on.

A message is one line: the file or field, what is wrong, what to do about it.
"""

from __future__ import annotations

import errno
import re

# torch says it in a RuntimeError; asking for its class would import it.
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.I)


class WorkbenchError(Exception):
    """An error that ends the command with its `exit_code`; the base class stands for none."""

    exit_code = 1


class InputError(WorkbenchError, ValueError):
    """Bad input or configuration: the caller can put it right. Also a `ValueError`."""

    exit_code = 2


class NoGeneratorError(InputError):
    """An arm from outside: nothing generates there, or only code that the user did not name."""


class DamagedArtefactError(WorkbenchError):
    """A stored file is not what its manifest says: truncated, changed, missing or foreign."""

    exit_code = 3


class ResourceError(WorkbenchError):
    """Disk, memory or device gave out; nothing that was stored before is harmed."""

    exit_code = 4


class NumericalError(WorkbenchError):
    """Values that should be finite are not, beyond what may be skipped."""

    exit_code = 5


class StopRequested(WorkbenchError):
    """Stopped by a signal after saving; the same command resumes."""

    exit_code = 75


def exit_code(error: BaseException) -> int:
    """Exit code of a command that ended with `error`: 2 for any `ValueError`, 1 if unforeseen."""
    if isinstance(error, WorkbenchError):
        return error.exit_code
    if isinstance(error, ValueError):
        return InputError.exit_code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError.exit_code
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return ResourceError.exit_code
    return 1
