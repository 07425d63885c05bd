"""A study handed to submitit: what is missing is done by tasks, followed, stopped, and named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.cli.machines import parsed
from workbench.cli.main import main
from workbench.errors import ResourceError, StopRequested, WorkbenchError
from workbench.machine import schedulers
from workbench.machine.jobs import ENDED, PROGRESS, STOP
from workbench.machine.schedulers import Task, open_engine, read_tasks, squeue, task_of
from workbench.machine.stopping import StopSignal
from workbench.pipeline import many_machines
from workbench.pipeline.many_machines import CONCLUDE, PREPARE, follow, run_elsewhere
from workbench.store.json_files import write_json
from workbench.study.folders import Study

REPA = "repa/seed-0"


def lacking_one_evaluation(study: Study) -> bytes:
    """Take away one run's scores and the comparison; returns what that held."""
    study.run("repa", 0).evaluation_file.unlink()
    file = study.directory / "comparison.json"
    known = file.read_bytes()
    file.unlink()
    return known


def test_handing_over_leaves_logging_as_it_is(tmp_path):
    """In a process of its own, for submitit is imported once."""
    script = (
        "import logging, os, sys\n"
        "from pathlib import Path\n"
        "from workbench.machine.schedulers import open_engine\n"
        "handler = logging.FileHandler(sys.argv[1])\n"
        "logging.getLogger().addHandler(handler)\n"
        "stream = handler.stream\n"
        "open_engine('local', Path(sys.argv[2]), {}, parallel=1)\n"
        "print(stream.closed, 'SUBMITIT_LOG_LEVEL' in os.environ)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "log"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.long
def test_only_what_is_missing_is_done_and_ends_with_the_same_bits(
    copy_smoke, context, capsys, monkeypatch
):
    """The real local executor: three processes, one after another."""
    study = copy_smoke()
    known = lacking_one_evaluation(study)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    engine = open_engine("local", study.directory, {}, parallel=2)
    outcome = run_elsewhere(study.config, study.directory, context, engine, "local")
    assert (study.directory / "comparison.json").read_bytes() == known
    assert outcome.comparison == json.loads(known)
    executor, tasks = read_tasks(study.directory)
    assert executor == "local"
    assert [task.name for task in tasks] == [PREPARE, REPA, CONCLUDE]
    assert [task.end[0] for task in tasks] == [0, 0, 0]
    assert "finish-run" in tasks[1].logs()
    # A finished study hands over nothing.
    engine.submit = None
    assert run_elsewhere(study.config, study.directory, context, engine, "local").already_done


def test_the_commands_are_those_of_any_scheduler(copy_smoke, capsys):
    study = copy_smoke()
    lacking_one_evaluation(study)
    words = ["study", "--out", str(study.directory), "--executor", "print", "--quiet"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"python -m workbench prepare {study.directory}",
        f"python -m workbench finish-run {study.directory}/repa/seed-0",
        f"python -m workbench conclude {study.directory}",
    ]
    assert main(["conclude", str(study.directory), "--quiet"]) == 2
    assert "not finished: repa/seed-0; run `finish-run" in capsys.readouterr().err
    shutil.rmtree(study.references_dir)
    assert main(["finish-run", str(study.run("repa", 0).directory), "--quiet"]) == 2
    assert f"no references yet; run `prepare {study.directory}` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--executor", "slrum"], "choose from local, slurm, print"),
        (["--executor", "local", "--resources", "gpus"], "write KEY=VALUE"),
        (["--executor", "local", "--resources", "memory=3"], "memory"),
        (["--executor", "local", "--resources", "nodes=two"], "nodes"),
        (["--executor", "local", "--detach"], "has no queue"),
        (["--executor", "print", "--resources", "nodes=1"], "starts nothing"),
        (["--detach"], "need --executor"),
        (["--executor", "slurm"], "no sbatch here"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(words, said, smoke, capsys, monkeypatch):
    monkeypatch.setattr(schedulers.shutil, "which", lambda name: None)
    assert main(["study", "--out", str(smoke.directory), *words, "--quiet"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_resources_keep_their_types():
    assert parsed(["timeout_min=90", "slurm_partition=gpu", "mem_gb=1.5"]) == {
        "timeout_min": 90,
        "slurm_partition": "gpu",
        "mem_gb": 1.5,
    }


@pytest.mark.parametrize("value", ["1:30:00", "007", "review #7", "a: b", "NaN", "yes", "~"])
def test_resources_that_are_text_stay_text(value):
    assert parsed([f"slurm_comment={value}"]) == {"slurm_comment": value}


class Scripted:
    """An engine that holds tasks as a test says, round after round."""

    poll_seconds = 0.0

    def __init__(self, *rounds: dict[str, str]) -> None:
        self.rounds, self.withdrawn = list(rounds), list[str]()

    def submit(self, tasks, after: Sequence[Task], *, ok: bool, alone: bool) -> list[Task]:
        return [replace(task, number="7") for task, _ in tasks]

    def open(self, tasks: Sequence[Task]) -> dict[str, str]:
        found = self.rounds.pop(0) if self.rounds else {}
        if isinstance(found, Exception):
            raise found
        return found

    def withdraw(self, tasks: Sequence[Task]) -> None:
        self.withdrawn += [task.name for task in tasks]


class Told:
    """Keeps reports."""

    def __init__(self) -> None:
        self.notes, self.stages = list[str](), list[tuple]()

    def update(self, stage, done, total, info) -> None:
        self.stages.append((stage, done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_machines, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(many_machines, "SETTLE_SECONDS", 0.05)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    found = [task_of(tmp_path, name, "7") for name in (PREPARE, REPA, CONCLUDE)]
    for task in found:
        task.directory.mkdir(parents=True)
    return found


def ended(task: Task, code: int, message: str = "") -> None:
    write_json(task.directory / ENDED, {"code": code, "message": message})


def test_progress_of_every_task_is_passed_on(quick, tasks, context, tmp_path):
    lines = [{"stage": "flow", "done": 3, "total": 8, "info": {}}, {"note": "slow"}]
    (tasks[1].directory / PROGRESS).write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "half'
    )
    for task in tasks:
        ended(task, 0)
    told = Told()
    silent = ResourceError("squeue does not answer (down)")
    engine = Scripted({REPA: "RUNNING"}, silent, silent, {REPA: "RUNNING"}, {})
    follow(tasks, engine, replace(context, reporter=told), tmp_path)
    assert told.stages == [("repa/seed-0 flow", 3, 8)]
    assert told.notes == ["repa/seed-0 slow", f"{silent}; the tasks go on, asking again"]


def test_a_task_requeued_by_its_scheduler_is_waited_for(quick, tasks, context, tmp_path):
    """It has ended with 75 by then, and the scheduler holds it again."""
    for task in tasks:
        ended(task, 0)
    ended(tasks[1], 75, "vae: stopped at step 4")
    engine = Scripted(*[{REPA: "PENDING"}] * 3)
    engine.open = lambda known, opened=engine.open: (
        opened(known) or ended(tasks[1], 0) or {}  # done at its second attempt
    )
    follow(tasks, engine, context, tmp_path)
    assert engine.rounds == []


def test_the_first_failure_is_told_with_its_code(quick, tasks, context, tmp_path):
    ended(tasks[0], 0)
    ended(tasks[1], 5, "flow: loss is NaN")
    ended(tasks[2], 2, "not finished")
    with pytest.raises(WorkbenchError, match="repa/seed-0: flow: loss is NaN") as caught:
        follow(tasks, Scripted({REPA: "RUNNING"}), context, tmp_path)
    assert caught.value.exit_code == 5


def test_a_killed_task_is_named(quick, tasks, context, tmp_path):
    ended(tasks[0], 0)
    with pytest.raises(WorkbenchError, match="repa/seed-0: ended and left no word") as caught:
        follow(tasks, Scripted({REPA: "RUNNING"}), context, tmp_path)
    assert caught.value.exit_code == 4


def test_nothing_waits_for_a_preparation_that_failed(quick, tasks, context, tmp_path):
    ended(tasks[0], 2, "no teacher")
    engine = Scripted({REPA: "PENDING"})
    with pytest.raises(WorkbenchError, match="prepare: no teacher"):
        follow(tasks, engine, context, tmp_path)
    assert REPA in engine.withdrawn


def test_a_stop_reaches_every_task(quick, tasks, context, tmp_path):
    (tmp_path / "asked").touch()
    engine = Scripted({REPA: "RUNNING", CONCLUDE: "PENDING"}, {REPA: "RUNNING"})
    stopping = replace(context, stop=StopSignal(tmp_path / "asked"))
    with pytest.raises(StopRequested, match="run the same command again"):
        follow(tasks, engine, stopping, tmp_path)
    assert all((task.directory / STOP).is_file() for task in tasks)
    assert engine.withdrawn == [PREPARE, REPA, CONCLUDE]


def test_a_stop_waits_for_no_scheduler_that_is_silent(quick, tasks, context, tmp_path, monkeypatch):
    """It waits for what is at work, and leaves the stop for what is started later."""
    at_work = iter([True, True])
    monkeypatch.setattr(Task, "is_held", property(lambda task: next(at_work, False)))
    (tmp_path / "asked").touch()
    silent = ResourceError("squeue does not answer (down)")
    engine = Scripted({REPA: "RUNNING", CONCLUDE: "PENDING"}, *[silent] * 20)
    told = Told()
    stopping = replace(context, reporter=told, stop=StopSignal(tmp_path / "asked"))
    with pytest.raises(StopRequested, match="run the same command again"):
        follow(tasks, engine, stopping, tmp_path)
    assert told.notes == [
        f"{silent}; the tasks go on, asking again",
        f"{silent}; a task that it still starts stops at once",
    ]
    assert len(engine.rounds) == 17
    assert all((task.directory / STOP).is_file() for task in tasks)


def test_tasks_that_the_scheduler_still_holds_are_not_handed_over_again(copy_smoke, context, quick):
    study = copy_smoke()
    lacking_one_evaluation(study)
    told = Told()
    watched = replace(context, reporter=told)
    first = Scripted()
    assert (
        run_elsewhere(study.config, study.directory, watched, first, "slurm", detach=True) is None
    )
    assert told.notes == ["handed 3 tasks to slurm: 7, 7, 7"]
    second = Scripted({REPA: "PENDING"})
    second.submit = None
    assert (
        run_elsewhere(study.config, study.directory, watched, second, "slurm", detach=True) is None
    )
    assert told.notes[-1] == "3 tasks were handed over before; following them"


def test_several_processes_are_for_runs_alone(tmp_path, monkeypatch):
    asked = []

    class Executor:
        def submit(self, command):
            return SimpleNamespace(done=lambda: True)

    def executor(name, folder, resources):
        asked.append(resources)
        return Executor()

    monkeypatch.setattr(schedulers, "_executor", executor)
    several = {"tasks_per_node": 2, "nodes": 1, "timeout_min": 9}
    engine = open_engine("local", tmp_path, several, parallel=2)
    for name, alone in ((PREPARE, True), (REPA, False)):
        engine.submit([(task_of(tmp_path, name), ["true"])], (), ok=True, alone=alone)
    engine.open([])
    assert asked[1:] == [{"timeout_min": 9}, several]


@pytest.fixture
def fake_squeue(tmp_path, monkeypatch):
    """A squeue that answers what a test writes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def answer(script: str) -> None:
        (folder / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "squeue").chmod(0o755)

    return answer


def test_what_squeue_says(fake_squeue):
    fake_squeue('echo "$@" >&2; echo "3 COMPLETING"; echo "4_0 PENDING"; echo "4_1 RUNNING"')
    assert squeue(["3", "4_0", "4_1", "5"]) == {
        "3": "COMPLETING",
        "4_0": "PENDING",
        "4_1": "RUNNING",
    }
    assert squeue([]) == {}
    fake_squeue('echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
    assert squeue(["3"]) == {}
    fake_squeue('echo "Unable to contact slurm controller" >&2; exit 1')
    with pytest.raises(ResourceError, match="Unable to contact"):
        squeue(["3"])


SLURM_CHILD = """
import os, time
from workbench.machine.stopping import StopSignal
stop = StopSignal().listen()
print("ready", flush=True)
while not stop.requested:
    time.sleep(0.01)
print("asked", flush=True)
time.sleep(0.5)
print("saved", flush=True)
"""


@pytest.mark.parametrize("numbers", [[signal.SIGTERM] * 3, [signal.SIGUSR2, signal.SIGTERM]])
def test_slurms_repeated_signals_only_ask(numbers):
    """It sends SIGTERM two or three times within milliseconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLURM_CHILD], cwd=Path(__file__).parents[3],
        env={**os.environ, "SLURM_JOB_ID": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    assert process.communicate(timeout=60)[0] == "asked\nsaved\n"
    assert process.returncode == 0
