"""A study over many machines: one task prepares, one per run trains and scores, one compares.

Every task is a verb that anybody can start by hand (`prepare`, `finish-run`, `conclude`), on any
machine that sees the study's folder. This module hands them to a scheduler and follows them. It
computes nothing and retries nothing: a killed task is done again when the same command runs again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError, ResourceError, StopRequested, WorkbenchError
from workbench.machine.progress import PROGRESS
from workbench.machine.schedulers import (
    Engine,
    Task,
    python_words,
    read_tasks,
    task_of,
    write_tasks,
)
from workbench.pipeline.run_study import Outcome, run_is_done, run_study
from workbench.pipeline.stages import SHARED, owners
from workbench.store.json_files import read_json
from workbench.store.lock import run_lock
from workbench.study.generators import generator_runs
from workbench.study.record import create_study, refuse_unpaired

if TYPE_CHECKING:
    from workbench.config.study import StudyConfig
    from workbench.machine.context import StageContext
    from workbench.machine.progress import Reporter
    from workbench.study.folders import Run, Study
    from workbench.study.generators import GeneratorRun

PREPARE, CONCLUDE = "prepare", "conclude"
LOOK_SECONDS = 0.2  # how often progress is passed on
SETTLE_SECONDS = 20.0  # for another machine's last file to be seen on a shared file system


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """The command lines of a study: the first before all runs, the last after them."""

    prepare: list[str]
    runs: dict[str, list[str]]
    conclude: list[str]


def study_commands(config: StudyConfig, directory: Path, restart: bool = False) -> Commands:
    """Write `study.json` if needed, and say what is to be run, for any scheduler.

    Raises:
        InputError: see `create_study`.
    """
    refuse_unpaired(config)
    with run_lock(directory):
        study = create_study(config, directory)
    again = ["--restart"] if restart else []
    return Commands(
        prepare=[PREPARE, str(directory)],
        runs={
            run.name: ["finish-run", str(directory / run.name), *again] for run in unfinished(study)
        },
        conclude=[CONCLUDE, str(directory)],
    )


def unfinished(study: Study) -> list[Run | GeneratorRun]:
    """Runs, and generators beside the arms, that are not complete under the current settings."""
    runs: list[Run | GeneratorRun] = [*study.runs, *generator_runs(study)]
    return [run for run in runs if not run_is_done(run)]


def run_elsewhere(
    config: StudyConfig,
    directory: Path,
    context: StageContext,
    engine: Engine,
    executor: str,
    *,
    detach: bool = False,
) -> Outcome | None:
    """Run a study by an engine, and follow it to its end unless it is to be detached.

    Tasks handed over earlier that have not ended are followed, not handed over again.

    Returns:
        The outcome; None if detached.

    Raises:
        InputError: see `create_study`; or a task of an earlier call still runs.
        StopRequested: stopped on request; finished work is kept.
        WorkbenchError: a task failed; the message and the exit code are the task's.
    """
    commands = study_commands(config, directory, context.restart)
    if not commands.runs and (directory / "comparison.json").is_file():
        return run_study(config, directory, context)
    tasks = _still_open(directory, executor, engine)
    if tasks:
        context.reporter.note(f"{len(tasks)} tasks were handed over before; following them")
    else:
        tasks = _hand_over(commands, directory, executor, engine, context.reporter)
    if detach:
        return None
    follow(tasks, engine, context, directory)
    return Outcome(read_json(directory / "comparison.json"), already_done=False)


def _still_open(directory: Path, executor: str, engine: Engine) -> list[Task]:
    """Tasks of an earlier call, if the scheduler still holds any of them.

    Raises:
        InputError: the scheduler does not, but one is at work.
    """
    known, tasks = read_tasks(directory)
    if known == executor and engine.open(tasks):
        return tasks
    for task in tasks:
        with run_lock(task.directory):  # says which process has it
            pass
    return []


def _hand_over(
    commands: Commands, directory: Path, executor: str, engine: Engine, reporter: Reporter
) -> list[Task]:
    tasks: list[Task] = []

    def submit(
        group: dict[str, list[str]], after: Sequence[Task], *, ok: bool, alone: bool
    ) -> list[Task]:
        wanted = []
        for name, words in group.items():
            task = task_of(directory, name)
            task.clear()
            wanted.append((task, [*python_words(), *words, "--job", str(task.directory)]))
        given = engine.submit(wanted, after, ok=ok, alone=alone)
        tasks.extend(given)
        # After each, so that what was handed over before a crash can be found.
        write_tasks(directory, executor, tasks)
        return given

    first = submit({PREPARE: commands.prepare}, (), ok=True, alone=True)
    runs = submit(commands.runs, first, ok=True, alone=False) if commands.runs else first
    # After any end: what is missing is then named in one line, and no task waits for ever.
    submit({CONCLUDE: commands.conclude}, runs, ok=False, alone=True)
    numbers = ", ".join(task.number for task in tasks if task.number)
    reporter.note(f"handed {len(tasks)} tasks to {executor}{f': {numbers}' if numbers else ''}")
    return tasks


def follow(tasks: Sequence[Task], engine: Engine, context: StageContext, directory: Path) -> None:
    """Pass on the tasks' progress until the engine holds none of them, then judge how they ended.

    Raises:
        StopRequested: a stop was asked for; it was passed on to every task.
        WorkbenchError: a task failed.
    """
    feeds = [_Feed(task) for task in tasks]
    asked = False
    for held in _held(tasks, engine, context):
        for feed in feeds:
            feed.forward(context.reporter)
        if context.stop.requested and not asked:
            asked = True
            for task in tasks:
                task.stop()
            engine.withdraw(tasks)
        if not asked and tasks[0].name not in held and not _ended_well(tasks[0]):
            engine.withdraw(tasks)  # nothing can be done without what all runs share
    for feed in feeds:
        feed.forward(context.reporter)
    if asked:
        raise StopRequested("study: stopped; run the same command again to go on")
    _refuse_failures(tasks, directory)


def _held(tasks: Sequence[Task], engine: Engine, context: StageContext) -> Iterator[frozenset[str]]:
    """Names of the tasks that the engine holds, again and again until there are none.

    While an engine does not answer, a stop waits only for tasks that the file system shows at work.
    One that starts later finds that it is to stop.
    """
    held, due, silent = frozenset(task.name for task in tasks), 0.0, False
    while held:
        if time.monotonic() >= due:
            try:
                held, silent = frozenset(engine.open(tasks)), False
            except ResourceError as error:
                if context.stop.requested and not any(task.is_held for task in tasks):
                    context.reporter.note(f"{error}; a task that it still starts stops at once")
                    return
                if not silent:
                    context.reporter.note(f"{error}; the tasks go on, asking again")
                silent = True
            due = time.monotonic() + engine.poll_seconds
        yield held
        time.sleep(LOOK_SECONDS)


def _ended_well(task: Task) -> bool:
    """Whether a task ended with code 0, looked up with patience for a shared file system."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while task.end is None and time.monotonic() < deadline:
        list(task.directory.iterdir())  # makes a network file system look again
        time.sleep(LOOK_SECONDS)
    return task.end is not None and task.end[0] == 0


def _refuse_failures(tasks: Sequence[Task], directory: Path) -> None:
    """Raise for the first task that did not end well; later ones follow from it."""
    for task in tasks:
        if _ended_well(task):
            continue
        again = "the same command goes on from what is done"
        if task.end is None:
            said = f"ended and left no word (killed, memory, time?); {again}"
            code = ResourceError.exit_code
        else:
            code, said = task.end
            said = f"{said}; {again}" if code == StopRequested.exit_code else said
        failure = WorkbenchError(f"{task.name}: {said}; its log is below {directory / 'cluster'}")
        failure.exit_code = code
        raise failure


@dataclass
class _Feed:
    """Passes on what a task appends to its progress, from where the file ended at first."""

    task: Task
    position: int = field(init=False)

    def __post_init__(self) -> None:
        self.position = 0
        self._prefix = "" if self.task.name in (PREPARE, CONCLUDE) else f"{self.task.name} "

    def forward(self, reporter: Reporter) -> None:
        """Pass on complete new lines."""
        file = self.task.directory / PROGRESS
        if not file.is_file():
            return
        with file.open("rb") as opened:
            opened.seek(self.position)
            complete, end, _ = opened.read().rpartition(b"\n")
        self.position += len(complete) + len(end)
        for line in complete.splitlines():
            record = json.loads(line)
            if "note" in record:
                reporter.note(f"{self._prefix}{record['note']}".strip())
            else:
                stage = f"{self._prefix}{record['stage']}"
                reporter.update(stage, record["done"], record["total"], record["info"])


def refuse_unprepared(study: Study) -> None:
    """Refuse to start a run before what all runs share is there: others may be making it.

    Raises:
        InputError: naming what is missing, and what to do.
    """
    for stage in SHARED:
        if not all(stage.state(owner).is_done for owner in owners(study, stage)):
            raise InputError(f"no {stage.name} yet; run `prepare {study.directory}` first")


def refuse_unfinished(study: Study) -> None:
    """Refuse to compare runs that are not finished.

    Raises:
        InputError: naming them, and what to do.
    """
    missing = unfinished(study)
    if missing:
        names = ", ".join(run.name for run in missing)
        raise InputError(
            f"not finished: {names}; run `finish-run {study.directory / missing[0].name}`, or the "
            "study again"
        )
