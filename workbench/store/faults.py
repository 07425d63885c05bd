"""Operating-system errors as workbench errors, and a check of disk space before work starts."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InputError, ResourceError, WorkbenchError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DEVICE_FAILED = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE})


def translated(error: OSError, path: Path) -> WorkbenchError:
    """Workbench error for a failed write at `path`: 4 for a full or failing disk, else 2."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in NO_ROOM:
        return ResourceError(
            f"{path}: no room to write ({reason}), {_free_text(path)}; free some room or set "
            "WORKBENCH_RUNS to a directory on another disk"
        )
    if error.errno in DEVICE_FAILED:
        return ResourceError(f"{path}: the device failed ({reason}); check the disk")
    return InputError(f"{path}: cannot be written ({reason}); choose a directory you may write to")


@contextmanager
def reported(path: Path, *, only_room: bool = False) -> Iterator[None]:
    """Raise an `OSError` from the body as the corresponding workbench error.

    Args:
        path: What the message names.
        only_room: Translate only a full disk; for bodies with foreign code.
    """
    try:
        yield
    except OSError as error:
        if only_room and error.errno not in NO_ROOM:
            raise
        raise translated(error, path) from error
    except Exception as error:
        # safetensors writes in Rust and gives the error number only in its message.
        number = re.search(r"\(os error (\d+)\)", str(error))
        if type(error).__name__ != "SafetensorError" or number is None:
            raise
        raise translated(OSError(int(number[1]), str(error)), path) from error


def check_room(directory: Path, needed: int) -> None:
    """Refuse before work starts if the disk of `directory` has less than `needed` bytes.

    Raises:
        ResourceError: With the bytes needed and the bytes free.
    """
    free = shutil.disk_usage(_existing(directory)).free
    if free < needed:
        raise ResourceError(
            f"{directory}: needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; free some "
            "room or set WORKBENCH_RUNS to a directory on another disk"
        )


def _free_text(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(_existing(path)).free / 1e9:.2f} GB are free on that disk"
    except OSError:
        return "its free room is unknown"


def _existing(path: Path) -> Path:
    """Nearest directory at or above `path` that exists."""
    path = path.absolute()
    return next((p for p in (path, *path.parents) if p.is_dir()), Path(path.anchor))
