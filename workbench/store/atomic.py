"""Directories and files that appear whole or not at all, and stay after a power cut.

The order is what makes it so: write everything beside the destination, fsync every file, write
the manifest last and fsync it, fsync the directory, rename, fsync the parent. A process that dies
anywhere leaves the old state and a hidden temporary, which the next writer sweeps away.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.store.durable import fsync_directory, make_directory, write_durably
from workbench.store.exchange import exchange
from workbench.store.faults import reported
from workbench.store.manifest import write_manifest

TEMPORARY = ".tmp-"
DISPLACED = ".old-"


@contextmanager
def publish(directory: Path, *, meta: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Write a directory that appears, complete and with its manifest, when the body has succeeded.

    An existing `directory` is replaced in one step; if the body raises, it stays as it was. One
    writer at a time: hold `run_lock`.

    Args:
        directory: Destination; its parents are made.
        meta: JSON values to keep in the manifest, such as `fingerprint` (see `is_complete`).

    Yields:
        The temporary directory to write into, on the same file system.

    Raises:
        ResourceError: No room; nothing is left behind.
        InputError: The destination cannot be written.
    """
    directory = Path(os.path.abspath(directory))
    with reported(directory):
        make_directory(directory.parent)
        sweep(directory)
        if os.path.lexists(directory) and not directory.is_dir():
            raise InputError(f"{directory}: is a file, a directory is to be written there")
        temporary = _temporary_beside(directory)
        os.mkdir(temporary)
        claim = _claim(temporary)
    try:
        with reported(directory, only_room=True):
            yield temporary
        with reported(directory):
            _settle(temporary)
            write_manifest(temporary, meta or {})
            _fsync_tree(temporary)
            _put_in_place(temporary, directory)
    finally:
        # Removed after success too: the temporary then holds the state that was replaced.
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(claim)


def write_file(path: Path, content: bytes) -> None:
    """Replace one file in one step, durably.

    Raises:
        ResourceError: No room; the old content stays.
        InputError: `path` cannot be written.
    """
    path = Path(os.path.abspath(path))
    with reported(path):
        make_directory(path.parent)
        temporary = _temporary_beside(path)
        try:
            write_durably(temporary, content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


def remove_directory(directory: Path) -> None:
    """Remove a directory so that it is seen whole or not at all, whenever the process dies."""
    directory = Path(os.path.abspath(directory))
    with reported(directory):
        hidden = _temporary_beside(directory)
        os.rename(directory, hidden)
        fsync_directory(directory.parent)
        shutil.rmtree(hidden)


def rename_directory(source: Path, target: Path) -> None:
    """Rename within one parent directory, durably."""
    with reported(source):
        os.rename(source, target)
        fsync_directory(target.parent)


def is_temporary(name: str) -> bool:
    """Whether a file name belongs to a write in progress, or to one that died."""
    return name.startswith((TEMPORARY, DISPLACED))


def sweep(directory: Path) -> None:
    """Finish or remove what writers of `directory` that died have left beside it."""
    displaced = directory.with_name(f"{DISPLACED}{directory.name}")
    if displaced.is_dir():
        if directory.exists():
            shutil.rmtree(displaced)
        else:
            os.rename(displaced, directory)
            fsync_directory(directory.parent)
    pattern = re.compile(rf"{re.escape(TEMPORARY + directory.name)}-[0-9a-f]{{8}}")
    for entry in os.scandir(directory.parent):
        if pattern.fullmatch(entry.name) and not _is_alive(entry):
            _remove(Path(entry.path))


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")


def _claim(temporary: Path) -> int:
    """Hold the temporary by `flock`, which the kernel lets go of however the process ends."""
    descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _is_alive(entry: os.DirEntry[str]) -> bool:
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _settle(temporary: Path) -> None:
    """Fsync every file, with the mode that a file made here would have."""
    mode = stat.S_IMODE(temporary.stat().st_mode) & 0o666
    for root, _, names in os.walk(temporary):
        for name in sorted(names):
            descriptor = os.open(Path(root, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _fsync_tree(temporary: Path) -> None:
    for root, _, _ in os.walk(temporary, topdown=False):
        fsync_directory(Path(root))


def _put_in_place(temporary: Path, directory: Path) -> None:
    """Rename onto `directory`; what stood there ends up at `temporary` or is removed."""
    parent = directory.parent
    if not directory.exists():
        os.rename(temporary, directory)
        fsync_directory(parent)
    elif exchange(temporary, directory):
        fsync_directory(parent)
    else:
        displaced = directory.with_name(f"{DISPLACED}{directory.name}")
        os.rename(directory, displaced)
        os.rename(temporary, directory)
        fsync_directory(parent)
        shutil.rmtree(displaced)
