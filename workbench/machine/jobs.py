"""Background jobs: one detached process per job; one computes here at a time, the others queue.

A job is a verb that takes `--job`: a whole study, or a single stage of one of its runs.

All state is on disk, under `<runs>/.jobs/<id>/`, so that a job survives the app, a reload and a
second browser: `job.json` (what was asked), `progress.jsonl` (how far it is), `log.txt` (its
output), `ended.json` (exit code), and a file `stop` that asks it to stop. The app only starts the
process, which waits for its turn. Its lock shows whether it is alive.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InputError, StopRequested, WorkbenchError, exit_code
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import read_holder, run_lock
from workbench.store.paths import runs_directory

FOLDER = ".jobs"
DESCRIPTION, PROGRESS, LOG, ENDED, STOP = (
    "job.json", "progress.jsonl", "log.txt", "ended.json", "stop"
)  # fmt: skip
POLL_SECONDS = 0.5
START_SECONDS = 60.0  # a process that has not taken its lock by then never will

State = Literal["starting", "queued", "running", "done", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job.

    Attributes:
        directory: its folder; the name sorts by the time it was asked for.
        title: what it is, for people.
        study: folder of the study that it works on.
        part: run and stage, as in `repa/seed-0 flow`; empty for the whole study.
        created: seconds since the epoch.
    """

    directory: Path
    title: str
    study: Path
    part: str
    created: float

    @property
    def name(self) -> str:
        """Identifier of the job."""
        return self.directory.name

    @property
    def arguments(self) -> list[str]:
        """The verb that it runs, with its arguments."""
        return [str(word) for word in read_json(self.directory / DESCRIPTION)["arguments"]]

    @property
    def works_here(self) -> bool:
        """Whether it computes on this machine; one that follows Slurm's tasks only waits."""
        words = self.arguments
        return ("--executor", "slurm") not in itertools.pairwise(words)

    @property
    def is_alive(self) -> bool:
        """Whether its process runs, waiting or working."""
        return read_holder(self.directory) is not None

    @property
    def state(self) -> State:
        """Its state, read from disk only."""
        ended = self.directory / ENDED
        if ended.is_file():
            code = read_json(ended).get("code")
            if code == 0:
                return "done"
            return "stopped" if code == StopRequested.exit_code else "failed"
        if self.is_alive:
            return "running" if (self.directory / PROGRESS).is_file() else "queued"
        young = time.time() - self.created < START_SECONDS
        return "starting" if young else "failed"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in ("starting", "queued", "running")

    @property
    def last_words(self) -> str:
        """One line: why it failed, or its last message; often empty."""
        ended = self.directory / ENDED
        if ended.is_file():
            return str(read_json(ended).get("message", ""))
        return "the process ended and left no word (killed?)" if self.state == "failed" else ""

    def stop(self) -> None:
        """Ask it to save and stop; also works while it waits."""
        write_file(self.directory / STOP, b"")

    def log(self, num_characters: int = 20_000) -> str:
        """The end of its output."""
        file = self.directory / LOG
        if not file.is_file():
            return ""
        return file.read_bytes()[-num_characters:].decode("utf-8", errors="replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageProgress:
    """How far one stage is.

    Attributes:
        stage: its name, with the run's before it.
        done: units complete.
        total: units in all.
        info: the latest numbers.
        started: seconds since the epoch of its first report.
        updated: of its last.
    """

    stage: str
    done: int
    total: int
    info: Mapping[str, Any]
    started: float
    updated: float

    @property
    def share(self) -> float:
        """Share that is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the current pace; None before the first unit."""
        if not 0 < self.done < self.total:
            return None
        return (self.updated - self.started) / self.done * (self.total - self.done)


def jobs_directory() -> Path:
    """Folder of all jobs."""
    return runs_directory() / FOLDER


def submit(arguments: Sequence[str], title: str, study: Path, part: str = "") -> Job:
    """Start `python -m workbench ARGUMENTS --job FOLDER` as a process of its own.

    Args:
        arguments: a verb that takes `--job`, and its other arguments.
        title: for people.
        study: folder of the study.
        part: see `Job`.

    Raises:
        InputError: the same study, or the same part of it, is already in the queue.
    """
    if any((job.study, job.part) == (study, part) and job.is_open for job in list_jobs()):
        raise InputError(f"{f'{study.name}/{part}'.rstrip('/')}: already in the queue")
    created = time.time()
    name = f"{datetime.fromtimestamp(created, UTC):%Y%m%d-%H%M%S-%f}-{study.name}"
    folder = jobs_directory() / name
    job = Job(directory=folder, title=title, study=study, part=part, created=created)
    job.directory.mkdir(parents=True)
    write_json(
        job.directory / DESCRIPTION,
        {
            "title": title,
            "study": str(study),
            "part": part,
            "created": created,
            "arguments": list(arguments),
        },
    )
    command = [sys.executable, "-m", "workbench", *arguments, "--job", str(job.directory)]
    with (job.directory / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "WORKBENCH_RUNS": str(runs_directory())},
        )
    # Unless its exit code is collected, the child stays as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return job


def list_jobs() -> list[Job]:
    """Every readable job, oldest first."""
    jobs = []
    for file in sorted(jobs_directory().glob(f"*/{DESCRIPTION}")):
        try:
            known = read_json(file)
            jobs.append(
                Job(
                    directory=file.parent,
                    title=str(known["title"]),
                    study=Path(known["study"]),
                    part=str(known["part"]),
                    created=float(known["created"]),
                )
            )
        except (WorkbenchError, KeyError, TypeError, ValueError):
            # Without a readable description a job cannot be named, watched or stopped.
            continue
    return jobs


def read_progress(job: Job) -> tuple[list[StageProgress], list[str]]:
    """Stages in the order they began, and the notes; an incomplete last line is ignored."""
    stages: dict[str, StageProgress] = {}
    notes: list[str] = []
    file = job.directory / PROGRESS
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []
    for line in lines:
        record = json.loads(line)
        if "note" in record:
            notes.append(record["note"])
            continue
        name, now = record["stage"], float(record["time"])
        before = stages.get(name)
        stages[name] = StageProgress(
            stage=name,
            done=record["done"],
            total=record["total"],
            info=record["info"],
            started=before.started if before else now,
            updated=now,
        )
    return list(stages.values()), notes


@contextmanager
def attended(folder: str) -> Iterator[Callable[[str], None]]:
    """Run the body as the job of `folder`: wait for its turn, then record how it ended.

    Args:
        folder: the job's; if empty, the body is not a job and runs at once. A folder that is not
            in the queue (a task of a scheduler) does not wait either.

    Yields:
        A function that takes the last words of a body that ends well.
    """
    words: list[str] = []
    if not folder:
        yield words.append
        return
    directory = Path(folder)
    with run_lock(directory):
        (directory / ENDED).unlink(missing_ok=True)  # of an attempt before a scheduler's requeue
        try:
            if directory.parent == jobs_directory():
                _wait_for_turn(directory)
            yield words.append
        except BaseException as error:
            message = " ".join(str(error).split()) or type(error).__name__
            write_json(directory / ENDED, {"code": exit_code(error), "message": message})
            raise
        write_json(directory / ENDED, {"code": 0, "message": "; ".join(words)})


def _wait_for_turn(directory: Path) -> None:
    """Return when no earlier job computes here, or at once if this one computes elsewhere.

    Raises:
        StopRequested: a stop was asked for while it waited.
    """
    own = next((job for job in list_jobs() if job.name == directory.name), None)
    if own is not None and not own.works_here:
        return
    while any(job.name < directory.name and job.is_open and job.works_here for job in list_jobs()):
        if (directory / STOP).exists():
            raise StopRequested("stopped before its turn came")
        time.sleep(POLL_SECONDS)
