"""A study on a real Slurm: killed, preempted, drained or out of time, it ends as a local one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finishing import finish_here
from slurm_machine import ask, missing, slurm
from training_tasks import checkpoint_bits

from workbench.config import settings
from workbench.config.study import StudyConfig
from workbench.machine.context import StageContext
from workbench.machine.schedulers import Task, open_engine, python_words, read_tasks, task_of
from workbench.pipeline.run_stage import run_stage
from workbench.pipeline.verify import verify_path
from workbench.store.checkpoints import load_latest, newest_step
from workbench.store.json_files import read_json
from workbench.store.lock import read_holder
from workbench.study.folders import Study, open_study
from workbench.study.record import create_study

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=f"NO SLURM HERE: {missing()} not installed"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # sockets need a short path
    try:
        with slurm(folder) as environment:
            yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def two_by_two(smoke_config) -> StudyConfig:
    """Two arms, two seeds, and a flow that trains long enough to be caught at it."""
    flow = dataclasses.replace(smoke_config.base.flow_training, num_steps=120)
    base = dataclasses.replace(smoke_config.base, flow_training=flow)
    return dataclasses.replace(smoke_config, name="twice", seeds=(0, 1), base=base)


def start(study: Path, config: StudyConfig, environment: dict[str, str], *more: str):
    file = study.with_suffix(".yaml")
    file.write_text(json.dumps(settings.to_dict(config)))
    words = ["study", "--config", str(file), "--out", str(study), "--executor", "slurm", "--json"]
    resources = ["--resources", "timeout_min=60", "slurm_partition=low", "cpus_per_task=1"]
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *words, *resources, *more],
        cwd=ROOT, env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until(condition: Callable[[], Any], what: str, check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 600
    while not (found := condition()):
        check()
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.05)
    return found


def wait_for(process: subprocess.Popen[str], condition: Callable[[], Any], what: str) -> Any:
    def check() -> None:
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"

    return wait_until(condition, what, check)


def trains_its_flow(task: Task) -> bool:
    """Whether it is between two checkpoints of the flow, with work left."""
    file = task.directory / "progress.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.is_file() else []
    steps = [known["done"] for known in map(json.loads, lines) if known.get("stage") == "flow"]
    return bool(steps) and 4 < steps[-1] < 100


def at_work(study: Path, without: set[str]) -> Task | None:
    """A run's task that is caught training."""
    names = [f"{arm}/seed-{seed}" for seed in (0, 1) for arm in ("none", "repa")]
    tasks = [task_of(study, name) for name in names if name not in without]
    return next((task for task in tasks if task.is_held and trains_its_flow(task)), None)


def handed_over(study: Path, name: str) -> Task:
    return next(task for task in read_tasks(study)[1] if task.name == name)


def assert_trained_the_same(study: Study, known: Study) -> None:
    for run, other in zip(study.runs, known.runs, strict=True):
        for folder in ("vae_dir", "flow_dir"):
            found, expected = (load_latest(getattr(r, folder)) for r in (run, other))
            assert checkpoint_bits(found) == checkpoint_bits(expected)


def assert_same(study: Study, known: Study) -> None:
    assert_trained_the_same(study, known)
    first, second = (read_json(s.directory / "comparison.json") for s in (study, known))
    assert first == second


def test_killed_preempted_and_drained_it_ends_with_the_same_bits(
    cluster, two_by_two, tmp_path, context
):
    study = tmp_path / "cluster"
    first = start(study, two_by_two, cluster)

    killed = wait_for(first, lambda: at_work(study, set()), "a run at work")
    os.kill(read_holder(killed.directory).pid, signal.SIGKILL)

    preempted = wait_for(first, lambda: at_work(study, {killed.name}), "another run at work")
    number = handed_over(study, preempted.name).number
    node = ask(cluster, "squeue", "--noheader", f"--jobs={number}", "--format=%N").strip()
    urgent = ("sbatch", "--partition=high", f"--nodelist={node}", "--exclusive", "--wrap=sleep 1")
    ask(cluster, *urgent, f"--output={tmp_path}/urgent.log")
    state = ("squeue", "--noheader", f"--jobs={number}", "--format=%T %r")
    wait_for(first, lambda: ask(cluster, *state).strip() == "PENDING BeginTime", "the requeue")
    assert preempted.end[0] == 75
    ask(cluster, "scontrol", "update", f"JobId={number}", "StartTime=now")  # not in two minutes

    ask(cluster, "scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
    there = ("squeue", "--noheader", "--nodelist=n2")
    wait_for(first, lambda: not ask(cluster, *there).strip(), "n2 to be left alone")
    ask(cluster, "scontrol", "update", "NodeName=n2", "State=RESUME")
    out, err = first.communicate(timeout=1500)
    assert (first.returncode, out) == (4, ""), err
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"study: {killed.name}: ended and left no word"), err
    ends = {task.name: task.end for task in read_tasks(study)[1]}
    assert ends[killed.name] is None
    assert ends[preempted.name][0] == 0
    assert "not finished" in ends["conclude"][1]
    assert "stopped at step" in handed_over(study, preempted.name).logs()

    second = start(study, two_by_two, cluster)
    out, err = second.communicate(timeout=1500)
    assert second.returncode == 0, err
    assert set(dict(read_json(study / "cluster/tasks.json")["tasks"])) == {
        "prepare", killed.name, "conclude",
    }  # fmt: skip

    local = create_study(two_by_two, tmp_path / "local")
    finish_here(local, context)
    assert_same(open_study(study), local)
    assert verify_path(study).sound


def ready_for_its_flow(config: StudyConfig, directory: Path, context: StageContext) -> Study:
    """A prepared study whose only run has its autoencoder."""
    study = create_study(config, directory)
    run_stage(study.runs[0], "vae", context)
    return study


def give_to_slurm(study: Study, *words: str) -> Task:
    """Give one command to Slurm, for ten minutes."""
    task = task_of(study.directory, "alone")
    task.clear()
    resources = {"timeout_min": 10, "slurm_partition": "low", "cpus_per_task": 1}
    engine = open_engine("slurm", study.directory, resources, 1)
    command = [*python_words(), *words, "--job", str(task.directory)]
    (given,) = engine.submit([(task, command)], (), ok=True, alone=False)
    return given


def test_out_of_time_a_task_is_queued_again_and_ends_with_the_same_bits(
    cluster, two_by_two, tmp_path, context, monkeypatch
):
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster[name])
    one = dataclasses.replace(two_by_two, seeds=(0,), arms={"none": two_by_two.arms["none"]})
    study = ready_for_its_flow(one, tmp_path / "limited", context)
    shutil.copytree(study.directory, tmp_path / "local")
    (run,) = study.runs
    task = give_to_slurm(study, "train-flow", str(run.directory))

    def goes_on() -> None:
        assert answer("%T").strip(), f"Slurm holds it no more, {task.end}: {task.logs()}"

    def answer(format_: str) -> str:
        return ask(cluster, "squeue", "--noheader", f"--jobs={task.number}", f"--format={format_}")

    def update(*words: str) -> None:
        ask(cluster, "scontrol", "update", f"JobId={task.number}", *words)

    wait_until(lambda: task.is_held and trains_its_flow(task), "the training", goes_on)
    pid = read_holder(task.directory).pid
    os.kill(pid, signal.SIGSTOP)  # a training that will not be done in time
    minutes = [int(part) for part in answer("%M").strip().split(":")][-2]
    # Slurm counts in minutes and looks every half minute; its signal comes 90 s before the end.
    update(f"TimeLimit={minutes + 2}")
    wait_until(lambda: "this job is timed-out" in task.logs(), "the signal", goes_on)
    with contextlib.suppress(ProcessLookupError):  # Slurm may have woken and ended it
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: answer("%T %r").strip() == "PENDING BeginTime", "the requeue", goes_on)
    code, said = task.end
    assert (code, "stopped at step" in said) == (75, True), said
    assert 4 < newest_step(run.flow_dir) < 120
    update("TimeLimit=60", "StartTime=now")
    wait_until(lambda: not answer("%T").strip(), "its end", lambda: None)
    assert task.end[0] == 0, task.logs()

    local = open_study(tmp_path / "local")
    run_stage(local.runs[0], "flow", context)
    assert_trained_the_same(study, local)
