"""One writer at a time per run directory, by `flock`: the lock ends with its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import InputError, ResourceError
from workbench.store.durable import claim, make_directory
from workbench.store.faults import reported

LOCK = ".lock"
MAX_BYTES = 4096
READER_SECONDS = 0.5  # a reader that looks who holds a lock has it itself for microseconds
RETRY_SECONDS = 0.005

_held: set[int] = set()


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Process that holds a run: host name, process id, and when it took the lock (UTC)."""

    host: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, since {self.started}"


@contextmanager
def run_lock(directory: Path) -> Iterator[Holder]:
    """Hold `directory` for writing; readers need no lock.

    The lock file is never removed, because another process may be opening it. Only the kernel's
    lock on it counts, which ends when the process ends. A forked child does not keep it.

    Args:
        directory: Run directory; made if missing.

    Yields:
        What other processes are told about this one.

    Raises:
        InputError: Another process holds it, with host, pid and start of that process; or the
            directory cannot be written.
        ResourceError: The file system has no locks.
    """
    with reported(directory):
        make_directory(Path(os.path.abspath(directory)))
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _held.add(descriptor)
    try:
        _acquire(descriptor, directory)
        holder = _sign(descriptor, directory)
        yield holder
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def read_holder(directory: Path) -> Holder | None:
    """The process that holds `directory` now; None if it is free."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that two simultaneous readers do not take each other for a writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _parse(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, directory: Path) -> None:
    """Take the lock; if it stays taken for longer than a reader needs, it belongs to a writer."""
    deadline = time.monotonic() + READER_SECONDS
    try:
        while not claim(descriptor):
            if time.monotonic() > deadline:
                holder = _parse(descriptor) or "another process"
                raise InputError(
                    f"{directory}: in use by {holder}; wait for it, stop it, or choose another "
                    "--out"
                )
            time.sleep(RETRY_SECONDS)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise ResourceError(
            f"{directory}: its file system has no locks ({error.strerror}); set WORKBENCH_RUNS to "
            "a local disk"
        ) from error


def _sign(descriptor: int, directory: Path) -> Holder:
    holder = Holder(
        host=os.uname().nodename,
        pid=os.getpid(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with reported(directory):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
    return holder


def _parse(descriptor: int) -> Holder | None:
    """Signature in the lock file; None while its holder is about to sign."""
    try:
        return Holder(**json.loads(os.pread(descriptor, MAX_BYTES, 0)))
    except (OSError, ValueError, TypeError):
        return None


def _close_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


# A worker that survives its killed parent must not keep the parent's lock.
os.register_at_fork(after_in_child=_close_in_child)
