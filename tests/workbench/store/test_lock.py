"""The run lock: one writer, named to the others, and never stale."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from workbench import store
from workbench.errors import InputError, ResourceError
from workbench.store import lock


@contextmanager
def held_by_a_child(directory: Path, grandchild: bool = False) -> Iterator[int]:
    """A process that holds the lock until it is killed, maybe with a worker of its own; its pid."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with store.run_lock(directory):
                worker = os.fork() if grandchild else 1
                if worker:
                    os.write(tell, worker.to_bytes(8, "big"))
                signal.pause()
        finally:
            os._exit(1)
    worker = int.from_bytes(os.read(ready, 8), "big")
    try:
        yield child
    finally:
        for process in [child, worker] if grandchild else [child]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)


def test_a_second_process_exits_2_and_names_the_first(tmp_path):
    program = (
        "import sys; from pathlib import Path; from workbench.errors import exit_code\n"
        "from workbench.store import run_lock\n"
        "try:\n"
        "    with run_lock(Path(sys.argv[1])): pass\n"
        "except Exception as error:\n"
        "    print(error, file=sys.stderr); sys.exit(exit_code(error))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with store.run_lock(tmp_path) as holder:
        assert holder.pid == os.getpid()
        second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2
    assert f"pid {os.getpid()} on {socket.gethostname()}, since {holder.started}" in second.stderr
    assert second.stderr.count("\n") == 1
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_kill_9_releases_it(tmp_path):
    with held_by_a_child(tmp_path) as child:
        with pytest.raises(InputError, match=f"pid {child} on"), store.run_lock(tmp_path):
            pass
        assert store.read_holder(tmp_path).pid == child
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with store.run_lock(tmp_path) as holder:
            assert holder.pid == os.getpid()
    assert store.read_holder(tmp_path) is None


def test_a_worker_that_outlives_its_parent_does_not_keep_it(tmp_path):
    with held_by_a_child(tmp_path, grandchild=True) as child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with store.run_lock(tmp_path):
            pass


def test_a_fork_that_ends_does_not_release_it(tmp_path):
    with store.run_lock(tmp_path):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(InputError, match="in use by"), store.run_lock(tmp_path):
            pass


def test_the_lock_is_let_go_after_an_error_and_makes_its_directory(tmp_path):
    directory = tmp_path / "new" / "run"
    with pytest.raises(KeyError), store.run_lock(directory):
        raise KeyError
    with store.run_lock(directory):
        assert store.read_holder(directory).pid == os.getpid()
    assert store.read_holder(tmp_path / "absent") is None


def test_readers_do_not_disturb_a_writer(tmp_path):
    with store.run_lock(tmp_path):
        for _ in range(3):
            assert store.read_holder(tmp_path) is not None
    with (tmp_path / lock.LOCK).open() as other_reader:
        lock.fcntl.flock(other_reader, lock.fcntl.LOCK_SH)
        assert store.read_holder(tmp_path) is None


def test_a_writer_is_not_refused_because_somebody_looks(tmp_path):
    """A look takes the lock itself for a moment; here one that is drawn out."""
    with store.run_lock(tmp_path):
        pass
    reader = (tmp_path / lock.LOCK).open()
    lock.fcntl.flock(reader, lock.fcntl.LOCK_SH)
    done = threading.Timer(0.1, reader.close)
    done.start()
    with store.run_lock(tmp_path) as holder:
        assert holder.pid == os.getpid()
    done.join()


def test_a_writer_among_many_readers_gets_its_lock(tmp_path):
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            store.read_holder(tmp_path)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(100):
            with store.run_lock(tmp_path):
                pass
    finally:
        stop.set()
        for reader in readers:
            reader.join()


def test_an_unsigned_lock_still_holds(tmp_path):
    with store.run_lock(tmp_path):
        (tmp_path / lock.LOCK).write_text("")
        with pytest.raises(InputError, match="in use by another process"), store.run_lock(tmp_path):
            pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refused)
    with pytest.raises(ResourceError, match="no locks"), store.run_lock(tmp_path):
        pass
