"""Real SIGKILLs at random times: what comes out in the end is what an unharmed run leaves."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from short_training import NUM_STEPS, future, new_run, train
from study_process import start_study, wait_until_free

from workbench.machine.progress import PROGRESS
from workbench.pipeline.verify import verify_path
from workbench.store.checkpoints import load_latest
from workbench.store.json_files import read_json
from workbench.study.folders import Run

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("WORKBENCH_KILLS", "50"))
FOLDERS = ("arms/none/seed-0/vae", "arms/none/seed-0/flow", "arms/repa/seed-0/vae")
FOLDERS += ("arms/repa/seed-0/flow", "language_model")


def kill_trainings(folder: Path, kills: int, most_a_training: int = 3) -> int:
    """Kill trainings until `kills` have died; each is resumed and compared with an unharmed one.

    Returns:
        How many trainings that took.
    """
    whole = new_run(folder / "whole")
    train(whole)
    expected = load_latest(whole.vae_dir)
    assert expected is not None
    dead, trainings = 0, 0
    while dead < kills:
        run = new_run(folder / f"killed-{trainings}")
        for _ in range(min(most_a_training, kills - dead)):
            dead += killed_once(run)
        train(run)
        found = load_latest(run.vae_dir)
        assert found is not None
        assert future(found) == future(expected)
        assert verify_path(run.study.directory).sound
        trainings += 1
    return trainings


def killed_once(run: Run) -> bool:
    """Kill a training at a random time after it has come at least one checkpoint further."""
    before = load_latest(run.vae_dir)
    goal = min(NUM_STEPS, (before.step if before else 0) + 2)
    child = os.fork()
    if child == 0:
        try:
            train(run)
        finally:
            os._exit(0)
    while (found := load_latest(run.vae_dir)) is None or found.step < goal:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@needs_fork
def test_three_kills_of_a_training(tmp_path):
    assert kill_trainings(tmp_path, kills=3) >= 1


@needs_fork
@pytest.mark.slow
def test_fifty_kills_of_trainings(tmp_path):
    assert kill_trainings(tmp_path, kills=50) >= 17


def start(directory: Path) -> subprocess.Popen[str]:
    """The smoke study by the command line."""
    return start_study(directory, "--preset", "smoke", "--set", "threads=1")


def wait_for_reports(directory: Path, number: int, process: subprocess.Popen[str]) -> None:
    """Return after `number` further reports, or when the study has ended."""
    file = directory / PROGRESS
    goal = number + (file.read_text().count("\n") if file.is_file() else 0)
    while process.poll() is None:
        if number == 0 or (file.is_file() and file.read_text().count("\n") >= goal):
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_whole_study_under_many_kills(tmp_path):
    """`WORKBENCH_KILLS` kills; of every five one asks politely, which must save and end with 75.

    Each falls a random number of reports after the last, so that all stages are hit and the study
    still comes to its end; then another is begun.
    """
    whole = start(tmp_path / "whole")
    assert whole.wait() == 0, whole.communicate()
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    tally = {"killed": 0, "stopped": 0, "finished": 0}
    while tally["killed"] < KILLS:
        directory = tmp_path / f"study-{tally['finished']}"
        ended = False
        while not ended and tally["killed"] < KILLS:
            process = start(directory)
            wait_for_reports(directory, rng.randrange(9), process)
            time.sleep(rng.uniform(0, 0.3))
            ended = end_somehow(process, tally, rng.random() < 0.2)
            wait_until_free(directory)
        final = start(directory)
        assert final.wait() == 0, (seed, tally, final.communicate())
        assert_same(directory, tmp_path / "whole", f"seed {seed} {tally}")
        tally["finished"] += 1
    print(json.dumps({"seed": seed, **tally}))


def end_somehow(process: subprocess.Popen[str], tally: dict[str, int], polite: bool) -> bool:
    """Stop or kill a study; True when it had come to its end before."""
    if process.poll() is None and polite:
        process.terminate()
        code = process.wait(timeout=60)
        # Asked before it could listen, or after the last stage, it ends in its own way.
        assert code in (75, -signal.SIGTERM, 0), (code, process.communicate())
        tally["stopped"] += code == 75
    elif process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        tally["killed"] += 1
    assert process.returncode in (0, 75, -signal.SIGTERM, -signal.SIGKILL), process.communicate()
    return process.returncode == 0


def assert_same(directory: Path, whole: Path, told: str) -> None:
    for stage in FOLDERS:
        found, expected = load_latest(directory / stage), load_latest(whole / stage)
        assert found is not None
        assert expected is not None
        assert future(found) == future(expected), f"{stage} differs, {told}"
    first, second = (read_json(d / "comparison.json") for d in (directory, whole))
    assert first == second, told
    assert verify_path(directory).sound
