"""Runs side by side: the first failure counts, reports arrive whole, orders reach the worker."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import worker_targets

from workbench.errors import WorkbenchError
from workbench.machine.workers import Share, run_side_by_side, share_machine
from workbench.store.lock import read_holder


class Notes:
    """A reporter that keeps everything."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.updates: list[tuple[str, int]] = []

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        self.updates.append((stage, done))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.long
def test_the_first_failure_is_told_not_its_consequence(context):
    jobs = [("waits", (False,)), ("fails", (True,))]
    with pytest.raises(WorkbenchError, match=r"^fails: the loss is not a number$") as caught:
        run_side_by_side(jobs, worker_targets.fail_or_wait, Share(2, 1), context)
    assert caught.value.exit_code == 5


@pytest.mark.long
def test_every_report_arrives_and_orders_are_obeyed(context):
    notes = Notes()
    context = dataclasses.replace(context, reporter=notes, restart=True)
    run_side_by_side([("one", (1,))], worker_targets.tell, Share(1, 1), context)
    assert notes.updates == [("one counting", done) for done in range(3000)]
    assert notes.notes == ["one: cpu True"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.long
def test_all_libraries_of_a_worker_use_its_threads(threads, context, monkeypatch):
    """Or the last bits of a study would tell which of its runs were done after a restart."""
    for library in ("OMP", "MKL", "OPENBLAS"):
        monkeypatch.delenv(f"{library}_NUM_THREADS")  # what the tests are started with
    notes = Notes()
    context = dataclasses.replace(context, reporter=notes)
    jobs = [("one", ())]
    run_side_by_side(jobs, worker_targets.tell_threads, Share(1, threads), context)
    pools = {line.removeprefix("one: ") for line in notes.notes}
    assert {pool.split()[0] for pool in pools} == {"torch", "blas", "openmp"}
    assert {pool.split()[1] for pool in pools} == {str(threads)}


@pytest.mark.long
def test_a_worker_that_vanishes_is_noticed(context):
    with pytest.raises(WorkbenchError, match="gone: ended with code 9 and said nothing"):
        run_side_by_side([("gone", ())], worker_targets.vanish, Share(1, 1), context)


@pytest.mark.long
def test_a_worker_leaves_the_keyboard_to_its_parent(context):
    """Or the parent's own signal would be the second one, which ends a process unsaved."""
    notes = Notes()
    context = dataclasses.replace(context, reporter=notes)
    run_side_by_side([("one", ())], worker_targets.interrupted, Share(1, 1), context)
    assert notes.notes == ["one: stop False", "one: stop True"]


ORPHANING = """
import sys
import worker_targets
from workbench.machine.devices import find_placement
from workbench.machine.context import StageContext
from workbench.machine.workers import Share, run_side_by_side
jobs = [("one", (sys.argv[1],))]
run_side_by_side(jobs, worker_targets.stay, Share(1, 1), StageContext(find_placement("cpu")))
"""


@pytest.mark.long
def test_a_worker_does_not_outlive_its_parent(tmp_path):
    path = os.pathsep.join(
        [str(Path(__file__).parents[3]), str(Path(__file__).parents[3] / "tests/support")]
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANING, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    wait_for(lambda: read_holder(tmp_path) is not None)
    parent.kill()
    parent.wait()
    wait_for(lambda: read_holder(tmp_path) is None)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_machine_is_shared_out(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert share_machine(2, 0, 0, "cpu") == Share(2, 4)
    assert share_machine(20, 0, 0, "cpu") == Share(8, 1)
    assert share_machine(6, 3, 2, "cpu") == Share(3, 2)
    assert share_machine(6, 0, 0, "cuda").workers == 1
