"""Single operations that survive a power cut: a file's content, a name in a directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and fsync it; its name is durable only once its directory is synced."""
    descriptor = create_durably(path, content)
    os.close(descriptor)


def create_durably(path: Path, content: bytes) -> int:
    """Write a new file as `write_durably` does, and lock it by `claim`.

    Returns:
        Its descriptor; the claim ends when that is closed.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        claim(descriptor)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def claim(descriptor: int) -> bool:
    """Lock an open file or directory by `flock`; the kernel releases it when the process ends.

    Returns:
        False when another process, or another descriptor of this one, holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_directory(directory: Path) -> None:
    """Make a directory and its parents, each durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    try:
        os.mkdir(directory)
    except FileExistsError:
        if not directory.is_dir():
            raise
    fsync_directory(directory.parent)


def fsync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
