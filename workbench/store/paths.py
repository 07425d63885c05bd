"""Where runs are, and which names may be opened.

A name given by a user is compared with what the scan of the runs directory finds, and never joined
to a path unchecked, so `../`, absolute paths and links to elsewhere find nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workbench.errors import InputError
from workbench.store.atomic import is_temporary
from workbench.store.durable import make_directory
from workbench.store.faults import reported

VARIABLE = "WORKBENCH_RUNS"
STUDY, RUN = "study.json", "run.json"
MAX_DEPTH = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEntry:
    """A study or run found under the runs directory.

    Attributes:
        name: Path below the runs directory, with `/`, as `resolve_run` takes it.
        path: The directory.
        kind: `study` or `run`, depending on the file that marks it; `workbench.study.listing` adds
            `generator`.
    """

    name: str
    path: Path
    kind: str


def runs_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Absolute directory of all runs: `WORKBENCH_RUNS`, or `runs` where the command was started.

    Args:
        environment: Read instead of `os.environ`.

    Raises:
        InputError: It exists and is not a directory.
    """
    value = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    directory = Path(os.path.abspath(os.path.expanduser(value or "runs")))
    if os.path.lexists(directory) and not directory.is_dir():
        raise InputError(f"{directory}: is not a directory, set {VARIABLE} to one")
    return directory


def check_writable(directory: Path) -> None:
    """Make `directory` and check that files can be written there, before anything is computed.

    Raises:
        InputError: It is a file, or read-only, or not ours.
        ResourceError: The disk is full.
    """
    directory = Path(os.path.abspath(directory))
    with reported(directory):
        make_directory(directory)
        probe = directory / f".tmp-probe-{os.getpid():08x}"
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\0")
        finally:
            os.close(descriptor)
            os.unlink(probe)


def resolve_run(name: str, root: Path | None = None) -> Path:
    """Directory of a run or study below the runs directory.

    Args:
        name: As in `list_runs`: `demo` or `demo/arms/repa/seed-0`.
        root: Runs directory; the default one if None.

    Raises:
        InputError: The name is absolute, has `..` or odd characters, leads out of the runs
            directory by a link, or there is no such directory.
    """
    root = (runs_directory() if root is None else root).resolve()
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or not name.isprintable():
        raise InputError(f"{name!r}: not the name of a run, see `python -m workbench runs`")
    if any(part.startswith(".") for part in parts):  # `..` too
        raise InputError(f"{name!r}: leads out of {root}, give a name below it")
    path = root.joinpath(*parts)
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise InputError(f"{name!r}: no such run in {root}{_existing(root)}") from None
    if not resolved.is_relative_to(root):
        raise InputError(f"{name!r}: is a link that leads out of {root}")
    if not resolved.is_dir():
        raise InputError(f"{name!r}: is a file, not a run")
    return path


def list_runs(root: Path | None = None) -> list[RunEntry]:
    """Studies and runs below the runs directory, in the order of their names.

    A directory counts if it has `study.json` or `run.json`, readable or not: a damaged run is
    listed, so that it can be shown as damaged. Links are not followed.
    """
    root = runs_directory() if root is None else root
    if not root.is_dir():
        return []
    return sorted(_scan(root, root, MAX_DEPTH), key=lambda entry: entry.name)


def _scan(directory: Path, root: Path, depth: int) -> Iterator[RunEntry]:
    try:
        with os.scandir(directory) as scan:
            entries = list(scan)
    except OSError:
        # Removed since its parent was listed, or not readable.
        return
    names = {entry.name for entry in entries}
    kind = "study" if STUDY in names else "run" if RUN in names else None
    if kind and directory != root:
        yield RunEntry(name=directory.relative_to(root).as_posix(), path=directory, kind=kind)
    if depth == 0:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not _hidden(entry.name):
            yield from _scan(Path(entry.path), root, depth - 1)


def _hidden(name: str) -> bool:
    return is_temporary(name) or name.startswith(".")


def _existing(root: Path) -> str:
    names = [entry.name for entry in list_runs(root)]
    return f", it has {', '.join(names[:8])}" if names else ", which has none"
