"""Verbs of a study over many machines: see `docs/MANY_MACHINES.md`.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.options import DEFAULTS, CommonOptions, Name
from workbench.cli.output import ALREADY_DONE, Output
from workbench.cli.show_results import show_comparison
from workbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.config.study import StudyConfig
    from workbench.machine.context import StageContext

PRINT = "print"
SUBMITIT = "SUBMITIT_EXECUTOR"  # submitit sets it in the tasks that it starts


def prepare(study_name: Name, *, job: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Prepare what a study's runs share: corpus, teacher states, judge, references.

    Args:
        study_name: a study's folder, or its name under the runs directory.
        job: folder of a job of the app or of a scheduler's task, as in `study`.
        common: options of every verb.
    """
    from workbench.machine.jobs import attended
    from workbench.pipeline.run_study import prepare_study
    from workbench.store.lock import run_lock
    from workbench.study.folders import find_study

    with attended(job):
        found = find_study(study_name)
        place = (found.config.base.device, False, job)
        with Output(common) as output, output.context(*place) as context:
            with run_lock(found.directory):
                prepare_study(found, context)
            output.show({"study": str(found.directory), "corpus": str(found.corpus_dir)})
    return 0


def finish_run(
    run: Name, *, restart: bool = False, job: str = "", common: CommonOptions = DEFAULTS
) -> int:
    """Run every stage of one run of a prepared study, as on one of many machines.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder; or STUDY/GENERATOR/SEED.
        restart: start a training again if all its checkpoints are damaged (they are kept).
        job: folder of a job of the app or of a scheduler's task, as in `study`.
        common: options of every verb.
    """
    from workbench.machine.devices import set_threads
    from workbench.machine.jobs import attended
    from workbench.machine.workers import share_machine
    from workbench.pipeline.many_machines import refuse_unprepared
    from workbench.pipeline.run_study import finish, run_is_done
    from workbench.study.generators import find_writer

    _join_tasks()
    if int(os.environ.get("RANK", 0)):
        job = ""  # the main process speaks for all
    with attended(job) as say:
        found = find_writer(run)
        refuse_unprepared(found.study)
        config = found.study.config
        place = (config.base.device, restart, job)
        with Output(common) as output, output.context(*place) as context:
            set_threads(share_machine(1, 1, config.threads, context.place.device.type).threads)
            done = run_is_done(found)
            finish(found, context)
            if context.place.is_main:
                output.stage({"run": str(found.directory), "already_done": done})
            if done:
                say(ALREADY_DONE)
    return 0


def _join_tasks() -> None:
    """As one of several tasks of a scheduler, take the place that torchrun would give."""
    if SUBMITIT not in os.environ or "RANK" in os.environ:
        return
    from submitit.helpers import TorchDistributedEnvironment

    joined = TorchDistributedEnvironment()
    if joined.world_size > 1:
        joined.export(set_cuda_visible_devices=False)


def conclude(study_name: Name, *, job: str = "", common: CommonOptions = DEFAULTS) -> int:
    """Compare the finished runs of a study, and write its scorecard and report.

    Args:
        study_name: a study's folder, or its name under the runs directory.
        job: folder of a job of the app or of a scheduler's task, as in `study`.
        common: options of every verb.
    """
    from workbench.machine.jobs import attended
    from workbench.pipeline.many_machines import refuse_unfinished
    from workbench.pipeline.run_study import conclude as compare
    from workbench.store.lock import run_lock
    from workbench.study.folders import find_study

    with attended(job) as say:
        found = find_study(study_name)
        refuse_unfinished(found)
        place = (found.config.base.device, False, job)
        with Output(common) as output, output.context(*place) as context:
            with run_lock(found.directory):
                outcome = compare(found, context)
            if outcome.already_done:
                say(ALREADY_DONE)
            show_comparison(output, outcome.comparison, found.directory, outcome.already_done)
    return 0


def run_on_machines(
    config: StudyConfig,
    directory: Path,
    context: StageContext,
    output: Output,
    *,
    executor: str,
    resources: Sequence[str],
    detach: bool,
) -> None:
    """What `study --executor` does: print the commands, or hand over tasks and follow them."""
    from workbench.machine.schedulers import open_engine
    from workbench.machine.workers import share_machine
    from workbench.pipeline.many_machines import run_elsewhere, study_commands

    if executor == PRINT:
        _refuse_unused(resources, detach)
        commands = study_commands(config, directory, context.restart)
        words = [commands.prepare, *commands.runs.values(), commands.conclude]
        lines = [shlex.join(["python", "-m", "workbench", *line]) for line in words]
        output.result({"commands": lines}, lambda: print("\n".join(lines)))
        return
    if detach and executor == "local":
        raise InputError("--detach: the local executor has no queue; leave one of them out")
    num_runs = len(config.arms) * len(config.seeds)
    device = context.place.device.type
    parallel = share_machine(num_runs, config.workers, config.threads, device).workers
    engine = open_engine(executor, directory, parsed(resources), parallel)
    outcome = run_elsewhere(config, directory, context, engine, executor, detach=detach)
    if outcome is None:
        output.show({"study": str(directory), "next": "the same command without --detach"})
    else:
        show_comparison(output, outcome.comparison, directory, outcome.already_done)


def _refuse_unused(resources: Sequence[str], detach: bool) -> None:
    if resources or detach:
        raise InputError("--executor print starts nothing: leave out --resources and --detach")


def parsed(resources: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE parameters of submitit: true, false, null, numbers and lists as JSON, else text."""
    import json

    values = {}
    for setting in resources:
        key, equals, value = setting.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--resources {setting!r}: write KEY=VALUE")
        try:
            values[key] = json.loads(value, parse_constant=str)
        except ValueError:
            values[key] = value  # 1:30:00, 007 and a#b stay what they are
    return values
