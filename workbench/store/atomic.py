"""Directories and files that appear completely or not at all, and survive a power cut.

The order guarantees it: write everything beside the destination, fsync every file, write and
fsync the manifest last, fsync the directory, rename, fsync the parent. A process that dies at any
point leaves the old state and a hidden temporary, which the next writer removes.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.store.durable import claim, create_durably, fsync_directory, make_directory
from workbench.store.exchange import exchange
from workbench.store.faults import reported
from workbench.store.manifest import write_manifest

TEMPORARY = ".tmp-"
DISPLACED = ".old-"


@contextmanager
def publish(directory: Path, *, meta: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Write a directory that appears with its manifest once the body has succeeded.

    An existing `directory` is replaced in one step; if the body raises, it is unchanged. Hold
    `run_lock`, so that there is one writer at a time.

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
        descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        claim(descriptor)
    try:
        with reported(directory, only_room=True):
            yield temporary
        with reported(directory):
            _settle(temporary)
            write_manifest(temporary, meta or {})
            _fsync_tree(temporary)
            _put_in_place(temporary, directory)
    finally:
        # Also after success: the temporary then holds the replaced state.
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Replace one file in one step, durably.

    Raises:
        ResourceError: No room; the old content stays.
        InputError: `path` cannot be written.
    """
    path = Path(os.path.abspath(path))
    with reported(path):
        make_directory(path.parent)
        sweep(path)
        temporary = _temporary_beside(path)
        try:
            descriptor = create_durably(temporary, content)
            try:
                os.replace(temporary, path)
            finally:
                os.close(descriptor)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


def remove_directory(directory: Path) -> None:
    """Remove a directory in one step: readers see all of it or nothing."""
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


def sweep(path: Path) -> None:
    """Finish or remove what dead writers of `path` have left beside it."""
    displaced = path.with_name(f"{DISPLACED}{path.name}")
    if displaced.is_dir():
        if path.exists():
            shutil.rmtree(displaced)
        else:
            os.rename(displaced, path)
            fsync_directory(path.parent)
    _remove_dead(path.parent, re.escape(path.name))


def sweep_within(directory: Path) -> None:
    """Remove what dead writers have left in `directory`."""
    with reported(directory):
        _remove_dead(directory, ".+")


def _remove_dead(directory: Path, names: str) -> None:
    pattern = re.compile(rf"{re.escape(TEMPORARY)}{names}-[0-9a-f]{{8}}")
    with os.scandir(directory) as scan:
        entries = [entry for entry in scan if pattern.fullmatch(entry.name)]
    for entry in entries:
        if _is_alive(entry):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        else:
            os.unlink(entry)


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name}-{os.urandom(4).hex()}")


def _is_alive(entry: os.DirEntry[str]) -> bool:
    """Whether the writer of a temporary still holds it."""
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return not claim(descriptor)
    finally:
        os.close(descriptor)


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
    """Rename onto `directory`; what was there is moved to `temporary` or removed."""
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
