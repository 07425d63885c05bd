"""Run one stage, one pair of spaces, or one course of training, for commands and pages."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.pipeline.run_study import prepare_study, run_loggers
from workbench.pipeline.stages import STAGES, Stage, stage_of
from workbench.store.lock import run_lock

if TYPE_CHECKING:
    from workbench.machine.context import StageContext
    from workbench.study.folders import Run
    from workbench.study.generators import GeneratorRun


def run_stage(
    run: Run | GeneratorRun, name: str, context: StageContext, parts: Sequence[str] = ()
) -> dict[str, Any]:
    """Run one stage of one run or generator, such as `vae`, `flow`, `samples` or `evaluation`.

    First it prepares what all runs share, then the stages that this one needs, except trainings.
    Under torchrun all processes train together; the main process does everything else while the
    others wait.

    Args:
        run: a run or a generator of a study.
        name: of the stage.
        context: device, reporter and stop signal.
        parts: names of probes; if empty, those of the study.

    Returns:
        Where the results are, and `already_done`: whether they were all there before.
    """
    from workbench.machine.devices import process_group

    stage, place = stage_of(run, name), context.place
    alone = dataclasses.replace(context, place=place.alone())
    with process_group(place), run_loggers(run, context) as logged:
        if place.is_main:
            prepare_study(run.study, alone)
        place.wait_for_all()
        with run_lock(run.directory) if place.is_main else contextlib.nullcontext():
            if stage.training is None and not place.is_main:
                return {}
            done = place.is_main and stage.state(run, parts).is_done
            if stage.training is None:
                logged = dataclasses.replace(logged, place=place.alone())
                _make_needs(run, stage, logged)
            told = stage.run(run, logged, parts)
    return {"run": str(run.directory), **told, "already_done": done}


def _make_needs(run: Run | GeneratorRun, stage: Stage, context: StageContext) -> None:
    """Run the stages that this one needs, except trainings, which are started by hand."""
    for need in (STAGES[name] for name in stage.needs):
        if need.of == stage.of and not need.shared and need.training is None:
            _make_needs(run, need, context)
            need.run(run, context, ())


def run_pair(run: Run, other: str, context: StageContext) -> dict[str, Any]:
    """Probe a run together with another arm of its study under the same seed."""
    from workbench.probes.pair import pair_file, probe_pair

    if other not in run.study.all_arms:
        known = ", ".join(run.study.all_arms)
        raise InputError(f"no arm {other!r}; the study has {known}")
    second = run.study.run(other, run.seed)
    with run_lock(run.study.directory):
        document = probe_pair(run, second, context)
    return {"file": str(pair_file(run, second)), **document}


def run_course(run: Run, context: StageContext) -> dict[str, Any]:
    """Probe a run's weights at every milestone, and compare it with other arms probed this way.

    Returns:
        `run`, `points` (the content of each point's file), and `onsets`: the rows of
        `compare_readings` for each other arm whose course is stored, named by `against`.
    """
    from workbench.probes.course.onsets import compare_readings
    from workbench.probes.course.over_training import is_probed, probe_over_training

    alone = dataclasses.replace(context, place=context.place.alone())
    prepare_study(run.study, alone)
    with run_lock(run.directory):
        points = probe_over_training(run, alone)
    others = [arm for arm in run.study.config.arms if arm != run.arm]
    onsets = [
        {"against": arm, **row}
        for arm in others
        if is_probed(run.study.run(arm, run.seed))
        for row in compare_readings(run.study, run.arm, arm)
    ]
    return {"run": str(run.directory), "points": points, "onsets": onsets}
