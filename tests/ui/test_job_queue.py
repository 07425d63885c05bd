"""Background studies: one at a time, the rest queued; the truth is on disk alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from workbench.errors import InputError, StopRequested
from workbench.machine import jobs
from workbench.store.json_files import write_json
from workbench.store.lock import read_holder

ROOT = Path(__file__).parents[2]
# A process that lives as a job until a file `go` appears.
WORKER = """
import sys, time, pathlib
from workbench.machine.jobs import attended
folder = pathlib.Path(sys.argv[1])
with attended(sys.argv[1]):
    (folder / "progress.jsonl").write_text("")
    while not (folder / "go").exists():
        time.sleep(0.02)
    if (folder / "fail").exists():
        raise ValueError("it went wrong")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.02)
    return tmp_path


def described(
    home: Path, name: str, created: float | None = None, arguments: Sequence[str] = ()
) -> jobs.Job:
    folder = home / jobs.FOLDER / name
    folder.mkdir(parents=True)
    created = time.time() if created is None else created
    document = {
        "title": name,
        "study": str(home / name),
        "part": "",
        "created": created,
        "arguments": list(arguments),
    }
    write_json(folder / jobs.DESCRIPTION, document)
    return next(job for job in jobs.list_jobs() if job.name == name)


def started(job: jobs.Job) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(job.directory)], cwd=ROOT)


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_second_job_waits_for_the_first(home):
    first, second = described(home, "1-a"), described(home, "2-b")
    processes = [started(first)]
    wait_for(lambda: first.state == "running")
    processes.append(started(second))
    wait_for(lambda: second.state == "queued")
    time.sleep(0.3)
    assert second.state == "queued"
    (second.directory / "go").touch()
    (first.directory / "go").touch()
    for process in processes:
        assert process.wait(60) == 0
    assert (first.state, second.state) == ("done", "done")


def test_job_of_a_scheduler_neither_waits_nor_is_waited_for(home):
    first = described(home, "1-a")
    elsewhere = described(home, "2-b", arguments=["study", "--executor", "slurm"])
    third = described(home, "3-c")
    with jobs.attended(str(first.directory)):
        with jobs.attended(str(elsewhere.directory)):  # does not wait for the first
            third.stop()
            with pytest.raises(StopRequested), jobs.attended(str(third.directory)):
                pytest.fail("the first computes here")
        assert elsewhere.state == "done"
    described(home, "0-x", arguments=["study", "--executor", "slurm"])  # just started, so open
    local = described(home, "4-d", arguments=["study", "--executor", "local"])
    local.stop()  # it would stop while it waited
    with jobs.attended(str(local.directory)):
        pass
    assert local.state == "done"


def test_job_that_is_killed_counts_as_failed_and_frees_the_queue(home):
    first, second = described(home, "1-a", created=0.0), described(home, "2-b", created=0.0)
    process = started(first)
    wait_for(lambda: first.state == "running")
    process.kill()
    process.wait()
    assert first.state == "failed"
    assert "killed" in first.last_words
    with jobs.attended(str(second.directory)):
        pass
    assert second.state == "done"


def test_job_that_raises_keeps_its_reason(home):
    job = described(home, "1-a")
    with pytest.raises(ValueError, match="wrong"), jobs.attended(str(job.directory)):
        raise ValueError("it went\nwrong")
    assert job.state == "failed"
    assert job.last_words == "it went wrong"


def test_waiting_job_can_be_stopped(home):
    first, second = described(home, "1-a"), described(home, "2-b")
    process = started(first)
    wait_for(lambda: first.state == "running")
    second.stop()
    with pytest.raises(StopRequested), jobs.attended(str(second.directory)):
        pytest.fail("it was not its turn")
    assert second.state == "stopped"
    (first.directory / "go").touch()
    assert process.wait(60) == 0


def test_same_study_is_not_queued_twice(home):
    described(home, "1-a")
    with pytest.raises(InputError, match="queue"):
        jobs.submit(["study", "--preset", "smoke"], "again", home / "1-a")


def test_torn_description_and_torn_progress_are_survived(home):
    job = described(home, "1-a")
    torn = home / jobs.FOLDER / "2-b"
    torn.mkdir()
    (torn / jobs.DESCRIPTION).write_text('{"title": "x')
    assert [j.name for j in jobs.list_jobs()] == ["1-a"]
    record = {"time": 1.0, "stage": "vae", "done": 2, "total": 8, "info": {"loss": 1.5}}
    later = {**record, "time": 3.0, "done": 4}
    lines = [json.dumps(record), json.dumps({"time": 2.0, "note": "hello"}), json.dumps(later)]
    (job.directory / jobs.PROGRESS).write_text("\n".join(lines) + '\n{"time": 4.0, "st')
    stages, notes = jobs.read_progress(job)
    assert notes == ["hello"]
    assert len(stages) == 1
    assert stages[0].share == 0.5
    assert stages[0].seconds_left == pytest.approx(2.0)


def test_submitted_study_runs_detached_and_reports(home):
    job = jobs.submit(["study", "--preset", "no-such-preset"], "wrong", home / "wrong")
    assert job.is_open  # nobody waited for it
    wait_for(lambda: not job.is_open, 120)
    assert job.state == "failed"
    assert "no-such-preset" in job.last_words
    assert "no-such-preset" in job.log()


def test_submitted_job_stands_in_a_session_of_its_own(home):
    described(home, "1-a", created=time.time() + 3600)  # never starts, and so keeps the turn
    job = jobs.submit(["study", "--preset", "smoke"], "waits", home / "waits")
    wait_for(lambda: job.state == "queued", 120)
    holder = read_holder(job.directory)
    assert holder is not None
    # What ends the app's terminal (Ctrl-C, a closed window) does not reach it.
    assert os.getsid(holder.pid) == holder.pid != os.getsid(0)
    job.stop()
    wait_for(lambda: job.state == "stopped")
