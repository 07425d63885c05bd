"""The manifest of an artefact directory: size and sha256 of every file, written last.

A directory is complete if it has one. The manifest is sealed: it holds the digest of its own
content, and must equal byte for byte what that content renders to.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import DamagedArtefactError, InputError
from workbench.store.durable import write_durably
from workbench.store.schema import Schema
from workbench.store.seals import SEAL, digest, parse_strict

MANIFEST = "manifest.json"
SCHEMA = Schema(name="manifest", version=1, needs_release="0.1.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """What a manifest says about one file: size in bytes and sha256 as 64 hex digits."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What was published.

    Attributes:
        files: Path relative to the directory, with `/`, -> record.
        meta: JSON values that the publisher gave, such as `fingerprint`.
    """

    files: Mapping[str, FileRecord]
    meta: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(record.size for record in self.files.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One file that is not what it should be."""

    file: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


def write_manifest(directory: Path, meta: Mapping[str, Any]) -> None:
    """Describe every file in `directory` and write the manifest durably."""
    if os.path.lexists(directory / MANIFEST):
        raise InputError(f"{directory / MANIFEST}: this name is kept for the manifest")
    files = {}
    for name, path in sorted(_walk(directory)):
        size, digest = _measure(path)
        files[name] = {"size": size, "sha256": digest}
    write_durably(directory / MANIFEST, _render(SCHEMA.stamp({"files": files, "meta": dict(meta)})))


def read_manifest(directory: Path) -> Manifest:
    """Read and check the manifest itself; `verify` checks the files.

    Raises:
        DamagedArtefactError: It is missing or is not what was written.
        InputError: It was written by a newer release.
    """
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DamagedArtefactError(f"{path}: missing, so this directory is not complete") from None
    except OSError as error:
        raise DamagedArtefactError(f"{path}: cannot be read ({error.strerror})") from error
    document = SCHEMA.migrate(_unsealed(content, path), str(path))
    try:
        files = {name: FileRecord(**record) for name, record in document["files"].items()}
        return Manifest(files=files, meta=document["meta"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedArtefactError(f"{path}: foreign, it is no manifest of ours") from error


def find_problems(
    directory: Path, names: frozenset[str] | None = None, *, cold: bool = False
) -> Iterator[Problem]:
    """Compare a directory with its manifest, file by file.

    Args:
        directory: A published directory.
        names: Read the content of these files only; None reads all. Presence and size of every
            file are compared in any case.
        cold: Drop the files from the page cache first, so that the disk itself is read.

    Yields:
        A problem for each file that is truncated, grown, changed, missing or foreign.

    Raises:
        DamagedArtefactError: The manifest itself is missing or damaged.
    """
    manifest = read_manifest(directory)
    found = {name: path for name, path in _walk(directory) if name != MANIFEST}
    for name, record in manifest.files.items():
        path = found.pop(name, None)
        if path is None:
            yield Problem(file=directory / name, problem="missing")
            continue
        problem = _compare(path, record, read=names is None or name in names, cold=cold)
        if problem:
            yield Problem(file=path, problem=problem)
    for path in found.values():
        yield Problem(file=path, problem="extra, the manifest does not list it")


def verify(directory: Path, names: frozenset[str] | None = None, *, cold: bool = False) -> Manifest:
    """Check a directory by `find_problems`, and return its manifest.

    Raises:
        DamagedArtefactError: Names the first bad file, what is wrong with it, and how many more.
    """
    problems = list(find_problems(directory, names, cold=cold))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DamagedArtefactError(f"{problems[0]}{more}")
    return read_manifest(directory)


def is_complete(directory: Path, fingerprint: str) -> bool:
    """Whether `directory` was published with this `fingerprint` in its meta.

    Compares presence and size of every file, not content: see `verify`.

    Returns:
        False when there is no such directory, or it is empty, or it has another fingerprint.

    Raises:
        DamagedArtefactError: It was published and is damaged now, or holds files but no manifest.
    """
    if not os.path.lexists(directory):
        return False
    if directory.is_dir() and not os.listdir(directory):
        return False
    try:
        manifest = verify(directory, names=frozenset())
    except DamagedArtefactError as error:
        raise DamagedArtefactError(f"{error}; remove {directory} to have it made again") from error
    return manifest.meta.get("fingerprint") == fingerprint


def _compare(path: Path, record: FileRecord, *, read: bool, cold: bool) -> str | None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return "foreign, it is not a plain file"
    if status.st_size < record.size:
        return f"truncated, it has {status.st_size} of {record.size} bytes"
    if status.st_size > record.size:
        return f"changed, it has {status.st_size} bytes instead of {record.size}"
    if read and _measure(path, cold=cold)[1] != record.sha256:
        return "changed, its sha256 is not the one in the manifest"
    return None


def _walk(directory: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of everything below that is not a directory; links unfollowed."""
    for root, directories, names in os.walk(directory):
        links = [name for name in directories if os.path.islink(os.path.join(root, name))]
        for name in (*names, *links):
            path = Path(root, name)
            yield path.relative_to(directory).as_posix(), path


def _measure(path: Path, *, cold: bool = False) -> tuple[int, str]:
    """Size in bytes and sha256 of a file, in one read of bounded memory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if cold and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(descriptor).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()


def _render(document: Mapping[str, Any]) -> bytes:
    """Seal and render: `document` with the digest of its content, as canonical JSON."""
    sealed = {**document, SEAL: digest(document)}
    return (json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _unsealed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = parse_strict(content)
        sealed = _render({key: value for key, value in document.items() if key != SEAL})
    except (ValueError, AttributeError) as error:
        raise DamagedArtefactError(f"{path}: truncated or changed, it is not readable") from error
    if sealed != content:
        raise DamagedArtefactError(f"{path}: changed, it does not match its own sha256")
    return document
