"""Signals to a real process: the first one saves and exits 75, the second ends it at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_tasks import build_task, checkpoint_bits, run_fit, small_training

from workbench.errors import StopRequested
from workbench.machine.stopping import StopSignal
from workbench.store.checkpoints import load_latest, newest_step

ROOT = Path(__file__).parents[3]
CHILD = ROOT / "tests/support/train_child.py"
NUM_STEPS = 7


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{CHILD.parent}"}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, str(CHILD), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for found in process.stdout:
        if found.strip() == line:
            return
    raise AssertionError(f"the child ended before {line!r}: {process.stderr.read()}")  # type: ignore[union-attr]


@pytest.mark.long
def test_a_signal_saves_and_the_same_command_goes_on(smoke, corpus, tmp_path):
    arguments = ("train", str(smoke.directory), str(tmp_path / "parts"), str(NUM_STEPS))
    process = start(*arguments, "3")
    read_until(process, "step 3")
    process.terminate()
    _, message = process.communicate(timeout=120)
    assert process.returncode == StopRequested.exit_code == 75
    assert "stopped at step 4, resumable" in message
    assert newest_step(tmp_path / "parts") == 4
    assert start(*arguments, "0").wait(timeout=120) == 0
    whole = build_task("language_model", smoke, corpus)
    run_fit(whole, small_training(num_steps=NUM_STEPS), tmp_path / "whole")
    assert checkpoint_bits(load_latest(tmp_path / "parts")) == checkpoint_bits(
        load_latest(tmp_path / "whole")
    )


def test_a_second_signal_ends_the_process_at_once():
    process = start("deaf")
    read_until(process, "ready")
    process.terminate()
    read_until(process, "asked")
    assert process.poll() is None
    process.terminate()
    # The child would sleep for ten minutes.
    assert process.wait(timeout=60) == 128 + signal.SIGTERM


def test_a_file_can_ask_too(tmp_path):
    stop = StopSignal(tmp_path / "stop")
    stop.check("here")
    (tmp_path / "stop").touch()
    with pytest.raises(StopRequested, match="here: stopped; run the same command again"):
        stop.check("here")
