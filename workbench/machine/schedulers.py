"""Tasks of a study on other machines, through submitit: handed over, looked up, withdrawn.

A task is one command line (`python -m workbench finish-run ... --job FOLDER`), so nothing of ours
is pickled, and what submitit pickles is never read for results: the truth is in the run folders.
All about a study's tasks is in `<study>/cluster/`: `tasks.json` (what was handed over), one folder
per task (a job's: progress, end, and the file that asks it to stop), and submitit's own folder with
scripts and logs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import InputError, ResourceError
from workbench.machine.jobs import ENDED, PROGRESS, STOP
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import read_holder

FOLDER, TASKS, ENGINE = "cluster", "tasks.json", "submitit"
EXECUTORS = ("local", "slurm")
ROOT = Path(__file__).parents[2]
MAX_TIMEOUTS = 100  # times that a task which reached its time limit is queued again
LOCAL_MINUTES = 60 * 24 * 30  # submitit would end local tasks after two minutes
ASCII = "PYTHONIOENCODING=ascii:backslashreplace"  # submitit decodes output by the piece
SEVERAL = ("nodes", "tasks_per_node", "slurm_nodes", "slurm_ntasks_per_node")
MISSING = "--executor needs the package submitit: pip install -r requirements-slurm.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task of a study.

    Attributes:
        name: `prepare`, a run's name such as `repa/seed-0`, or `conclude`.
        directory: its folder, as of a job.
        number: the scheduler's identifier; empty before it is handed over.
    """

    name: str
    directory: Path
    number: str = ""

    @property
    def end(self) -> tuple[int, str] | None:
        """Exit code and last words; None while it has not ended by itself."""
        file = self.directory / ENDED
        if not file.is_file():
            return None
        known = read_json(file)
        return int(known.get("code", 1)), str(known.get("message", ""))

    @property
    def is_held(self) -> bool:
        """Whether its process is at work, as far as the file system tells."""
        return read_holder(self.directory) is not None

    def clear(self) -> None:
        """Forget an earlier attempt."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in (ENDED, PROGRESS, STOP):
            (self.directory / name).unlink(missing_ok=True)

    def stop(self) -> None:
        """Ask it to save and stop."""
        write_file(self.directory / STOP, b"")

    def logs(self, num_characters: int = 20_000) -> str:
        """The end of what it wrote to both of its streams."""
        folders = list(self.directory.glob(f"{ENGINE}/*"))  # of the local executor
        if self.number:
            shared = self.directory.parents[len(Path(self.name).parts) - 1] / ENGINE
            folders.append(shared / self.number)
        files = [file for folder in folders for file in sorted(folder.glob("*_log.*"))]
        parts = [file.read_bytes()[-num_characters:].decode("utf-8", "replace") for file in files]
        return "\n".join(part for part in parts if part)


def read_tasks(study: Path) -> tuple[str, list[Task]]:
    """The executor of a study and the tasks that it was given; none if there never were any."""
    file = study / FOLDER / TASKS
    if not file.is_file():
        return "", []
    known = read_json(file)
    tasks = [task_of(study, name, number) for name, number in known["tasks"].items()]
    return str(known["executor"]), tasks


def write_tasks(study: Path, executor: str, tasks: Sequence[Task]) -> None:
    """Remember what was handed over."""
    numbers = {task.name: task.number for task in tasks}
    write_json(study / FOLDER / TASKS, {"executor": executor, "tasks": numbers})


def task_of(study: Path, name: str, number: str = "") -> Task:
    """A task of a study by its name."""
    return Task(name=name, directory=study / FOLDER / name, number=number)


class Engine(Protocol):
    """Where tasks run."""

    poll_seconds: float

    def submit(
        self,
        tasks: Sequence[tuple[Task, Sequence[str]]],
        after: Sequence[Task],
        *,
        ok: bool,
        alone: bool,
    ) -> list[Task]:
        """Hand over tasks with their commands, to be run side by side.

        Args:
            tasks: each with its command line.
            after: tasks that must have ended before.
            ok: whether they must have ended well.
            alone: whether each is one process, whatever `nodes` and `tasks_per_node` say.
        """

    def open(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Name -> the scheduler's word, such as PENDING or RUNNING, of tasks that have not ended.

        Raises:
            ResourceError: the scheduler does not answer.
        """

    def withdraw(self, tasks: Sequence[Task]) -> None:
        """Take tasks that have not started out of the queue."""


def open_engine(executor: str, study: Path, resources: Mapping[str, Any], parallel: int) -> Engine:
    """The engine by name.

    Args:
        executor: one of `EXECUTORS`.
        study: folder of the study.
        resources: submitit's parameters, such as `timeout_min`, `gpus_per_node`, `slurm_partition`.
        parallel: tasks at a time, for `local`.

    Raises:
        InputError: an unknown executor or resource, or submitit or Slurm is not installed.
    """
    if executor not in EXECUTORS:
        raise InputError(f"--executor {executor!r}: choose from {', '.join(EXECUTORS)}, print")
    folder = study / FOLDER / ENGINE
    if executor == "slurm":
        return SlurmEngine(folder, resources)
    return LocalEngine(folder, resources, parallel)


def _for_one(resources: Mapping[str, Any]) -> dict[str, Any]:
    """The same resources for one process on one machine."""
    return {key: value for key, value in resources.items() if key not in SEVERAL}


def has_slurm() -> bool:
    """Whether tasks can be handed to Slurm from this machine."""
    return shutil.which("sbatch") is not None


def _command(words: Sequence[str]) -> Any:
    """A command line as submitit takes it, which is queued again where its time is over."""
    from submitit.helpers import CommandFunction, DelayedSubmission

    command = CommandFunction(["env", ASCII, *words], cwd=ROOT)
    # What submitit calls near the time limit; without it a task is queued again only if preempted.
    command.checkpoint = functools.partial(DelayedSubmission, command)  # type: ignore[attr-defined]
    return command


def _executor(name: str, folder: Path, resources: Mapping[str, Any]) -> Any:
    """A submitit executor with its resources set."""
    try:
        with _own_logging():
            from submitit import AutoExecutor
    except ImportError as error:
        raise InputError(MISSING) from error
    try:
        limits = {f"{name}_max_num_timeout": MAX_TIMEOUTS}
        executor = AutoExecutor(folder=folder / "%j", cluster=name, **limits)
        executor.update_parameters(**resources)
    except (NameError, AssertionError, TypeError, ValueError) as error:
        raise InputError(f"--resources: {' '.join(str(error).split())}") from error
    return executor


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Import submitit without the set-up of logging that would close this process's handlers."""
    name = "SUBMITIT_LOG_LEVEL"
    known = os.environ.get(name)
    os.environ[name] = "NOCONFIG"
    try:
        yield
    finally:
        os.environ.pop(name)
        if known is not None:
            os.environ[name] = known


class SlurmEngine:
    """Slurm, by submitit's executor; states come from squeue, which needs no accounting."""

    poll_seconds = 10.0

    def __init__(self, folder: Path, resources: Mapping[str, Any]) -> None:
        if not has_slurm():
            raise InputError("--executor slurm: no sbatch here; start it on a login node")
        extra = dict(resources)
        if "cpus_per_task" in resources:
            # Since Slurm 22.05 srun no longer takes it from sbatch.
            extra.setdefault("slurm_srun_args", [f"--cpus-per-task={resources['cpus_per_task']}"])
        self._folder, self._resources = folder, extra
        self._executor()

    def _executor(self, alone: bool = False, **more: Any) -> Any:
        resources = _for_one(self._resources) if alone else self._resources
        return _executor("slurm", self._folder, {**resources, **more})

    def submit(
        self,
        tasks: Sequence[tuple[Task, Sequence[str]]],
        after: Sequence[Task],
        *,
        ok: bool,
        alone: bool,
    ) -> list[Task]:
        """See `Engine`; several tasks become one array."""
        more: dict[str, Any] = {"name": f"{self._folder.parents[1].name}-{tasks[0][0].name}"}
        if after:
            # An array is waited for as a whole.
            numbers = dict.fromkeys(task.number.split("_")[0] for task in after)
            kind = "afterok" if ok else "afterany"
            more["slurm_dependency"] = ":".join([kind, *numbers])
            given = self._resources.get("slurm_additional_parameters", {})
            more["slurm_additional_parameters"] = {"kill-on-invalid-dep": "yes", **given}
        with _as_from_outside(), _reported():
            executor = self._executor(alone, **more)
            jobs = executor.submit_array([_command(words) for _, words in tasks])
        return [
            dataclasses.replace(task, number=str(job.job_id))
            for (task, _), job in zip(tasks, jobs, strict=True)
        ]

    def open(self, tasks: Sequence[Task]) -> dict[str, str]:
        """See `Engine`."""
        states = squeue([task.number for task in tasks if task.number])
        return {task.name: states[task.number] for task in tasks if task.number in states}

    def withdraw(self, tasks: Sequence[Task]) -> None:
        """See `Engine`."""
        numbers = [task.number for task in tasks if task.number]
        subprocess.run(["scancel", "--state=PENDING", *numbers], capture_output=True, check=False)


@contextlib.contextmanager
def _as_from_outside() -> Iterator[None]:
    """Within a job of Slurm, hide that job, whose limits sbatch would take over."""
    from submitit.helpers import clean_env

    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    kept = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(kept)
        yield


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turn a refusal of sbatch into one line."""
    from submitit.core.utils import FailedJobError

    try:
        yield
    except FailedJobError as error:
        words = " ".join(str(error).split())
        raise InputError(f"sbatch refused the study's tasks: {words}") from error


def squeue(numbers: Sequence[str]) -> dict[str, str]:
    """Job identifier -> state, of those that Slurm still holds; an array's tasks one by one.

    Raises:
        ResourceError: Slurm does not answer.
    """
    if not numbers:
        return {}
    wanted = ",".join(dict.fromkeys(number.split("_")[0] for number in numbers))
    command = ["squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={wanted}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ResourceError(f"squeue does not answer ({error})") from error
    if done.returncode and "Invalid job id" not in done.stderr:
        raise ResourceError(f"squeue does not answer ({' '.join(done.stderr.split())})")
    return dict(line.split() for line in done.stdout.splitlines())


class LocalEngine:
    """This machine, by submitit's local executor: for trying out what a cluster would do."""

    poll_seconds = 0.5

    def __init__(self, folder: Path, resources: Mapping[str, Any], parallel: int) -> None:
        self._resources = {"timeout_min": LOCAL_MINUTES, **resources}
        self._parallel = parallel
        _executor("local", folder, self._resources)
        self._waiting: dict[str, tuple[Task, Sequence[str], frozenset[str], bool]] = {}
        self._jobs: dict[str, Any] = {}

    def submit(
        self,
        tasks: Sequence[tuple[Task, Sequence[str]]],
        after: Sequence[Task],
        *,
        ok: bool,
        alone: bool,
    ) -> list[Task]:
        """See `Engine`; whoever follows the tasks withdraws those whose needs have failed."""
        needs = frozenset(task.name for task in after)
        self._waiting.update({task.name: (task, words, needs, alone) for task, words in tasks})
        return [task for task, _ in tasks]

    def open(self, tasks: Sequence[Task]) -> dict[str, str]:
        """See `Engine`; also starts what can be started."""
        busy = {name for name, job in self._jobs.items() if not job.done()}
        for name, (task, words, needs, alone) in list(self._waiting.items()):
            if len(busy) < self._parallel and not needs & (busy | set(self._waiting)):
                del self._waiting[name]
                resources = _for_one(self._resources) if alone else self._resources
                executor = _executor("local", task.directory / ENGINE, resources)
                self._jobs[name] = executor.submit(_command(words))
                busy.add(name)
        return {**dict.fromkeys(self._waiting, "PENDING"), **dict.fromkeys(busy, "RUNNING")}

    def withdraw(self, tasks: Sequence[Task]) -> None:
        """See `Engine`."""
        for task in tasks:
            self._waiting.pop(task.name, None)


def python_words() -> list[str]:
    """How another machine with the same file system starts the workbench."""
    return [sys.executable, "-m", "workbench"]
