"""Swap two directories in one step, so that readers always find one of them."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})


def exchange(left: Path, right: Path) -> bool:
    """Swap the names of two existing directories on one file system by `renameat2`.

    Returns:
        Whether it was done; False where the system or the file system cannot do it.

    Raises:
        OSError: It is supported and failed.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    names = os.fsencode(left), os.fsencode(right)
    if function(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(left), None, str(right))
