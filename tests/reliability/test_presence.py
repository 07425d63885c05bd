"""A process that waits for another gives up when that one shows no sign of life, and only then."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from workbench.errors import exit_code
from workbench.machine import heartbeat as presence
from workbench.machine.devices import find_placement, process_group

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
PATIENCE_SECONDS = 3.0


def start(rank: int, port: int, main_work: Callable[[], None], answer: Path) -> int:
    """One of two processes; the main one works alone while the other waits for it, twice."""
    child = os.fork()
    if child:
        return child
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ["MASTER_PORT"] = str(port)
    presence.PATIENCE = timedelta(seconds=PATIENCE_SECONDS)
    presence.STILL = timedelta(seconds=PATIENCE_SECONDS)
    presence.WORK_SECONDS, presence.BEAT_SECONDS = 0.02, 0.2
    code, text = 0, ""
    try:
        place = find_placement("cpu")
        with process_group(place):
            place.wait_for_all()
            if place.is_main:
                main_work()
            place.wait_for_all()
            text = "met"
    except BaseException as error:
        code, text = exit_code(error), str(error)
    finally:
        answer.write_text(text)
        os._exit(code)


def run_two(main_work: Callable[[], None], folder: Path) -> tuple[int, str, float]:
    """Exit code and words of the process that waits, and the seconds until it ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    children = [start(rank, port, main_work, folder / f"{rank}") for rank in (0, 1)]
    try:
        while not (ended := os.waitpid(children[1], os.WNOHANG))[0]:
            assert time.monotonic() - started < 120, "the one that waits never ended"
            time.sleep(0.02)
        took = time.monotonic() - started
        if os.waitstatus_to_exitcode(ended[1]) == 0:
            assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
            children.pop(0)
    finally:
        if len(children) == 2:
            os.kill(children[0], signal.SIGKILL)
            os.waitpid(children[0], 0)
    return os.waitstatus_to_exitcode(ended[1]), (folder / "1").read_text(), took


def work_for_long() -> None:
    """Longer than the patience of the other, in many steps."""
    end = time.monotonic() + 3 * PATIENCE_SECONDS
    while time.monotonic() < end:
        sum(range(10_000))


@pytest.mark.long
def test_it_waits_as_long_as_the_other_works(tmp_path):
    code, words, took = run_two(work_for_long, tmp_path)
    assert (code, words) == (0, "met")
    assert took > 3 * PATIENCE_SECONDS


def be_stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    """The process lives and its threads run, but the main thread never goes on."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize("end", [be_stopped, be_killed, hang])
@pytest.mark.long
def test_it_gives_up_on_one_that_does_not_live(end, tmp_path):
    code, words, _ = run_two(end, tmp_path)
    assert code == 4, words
    assert "died" in words
    assert words.endswith("start all of them again, they go on from the last checkpoint")
    if end is not be_killed:
        assert "process 0 died or hung, it has shown no sign of life for" in words
