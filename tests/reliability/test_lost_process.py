"""Two processes train together and one dies or hangs: the other ends, and what counts is whole."""

import os
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from short_training import NUM_STEPS, new_run, train

from workbench.errors import exit_code
from workbench.machine import devices
from workbench.store.checkpoints import list_checkpoints, load_checkpoint, load_latest
from workbench.study.folders import Run
from workbench.train.vae import VAETask

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
FATAL_STEP = 5


def start_rank(run: Run, rank: int, port: int, end: signal.Signals, answer: Path) -> int:
    """Train as one of two processes; the second sends itself `end` at `FATAL_STEP`."""
    child = os.fork()
    if child:
        return child
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ["MASTER_PORT"] = str(port)
    devices.STEP_PATIENCE = timedelta(seconds=8)
    loss = VAETask.loss

    def fatal_loss(task: VAETask, objective: Any, step: int) -> Any:
        if rank == 1 and step == FATAL_STEP:
            os.kill(os.getpid(), end)
        return loss(task, objective, step)

    VAETask.loss = fatal_loss  # type: ignore[method-assign]
    code = 0
    try:
        train(run)
    except BaseException as error:
        code = exit_code(error)
        answer.write_text(str(error))
    finally:
        os._exit(code)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
@pytest.mark.long
def test_the_others_end_and_training_goes_on_from_what_is_whole(end, tmp_path):
    run = new_run(tmp_path / "study")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [start_rank(run, rank, port, end, tmp_path / f"error-{rank}") for rank in (0, 1)]
    try:
        status = wait_for(children[0])
    finally:
        os.kill(children[1], signal.SIGKILL)
        os.waitpid(children[1], 0)
    message = (tmp_path / "error-0").read_text()
    assert os.waitstatus_to_exitcode(status) == 4, message
    assert message.startswith("process 0 of 2: another one died or hung")
    steps = [load_checkpoint(path).step for path in list_checkpoints(run.vae_dir)]
    assert steps == [2, 4], "those before the death are whole, and there is none after it"
    train(run)
    finished = load_latest(run.vae_dir)
    assert finished is not None
    assert finished.step == NUM_STEPS
    assert "processes 2 before, 1 now" in finished.state["inexact"][0]


def wait_for(child: int) -> int:
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline, "the other process did not end"
        time.sleep(0.02)
    return ended[1]
