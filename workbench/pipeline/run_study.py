"""The whole pipeline: prepare, train twins, sample, probe, score, compare, report.

A stage is skipped when its artefact is complete under the same fingerprint. A study that was
stopped or killed therefore continues where it was, and a finished one is done at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyses.result import json_safe
from workbench.config import settings
from workbench.config.study import StudyConfig
from workbench.machine.context import StageContext, stage_fingerprint, update_json
from workbench.machine.devices import process_group
from workbench.machine.loggers import Contained, check_loggers
from workbench.machine.progress import PROGRESS, ToFile
from workbench.machine.workers import run_side_by_side, share_machine
from workbench.pipeline.stages import SHARED, owners, stages_of
from workbench.score.evaluate import evaluation_fingerprint
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import run_lock
from workbench.study.folders import Run, Study, open_study
from workbench.study.generators import GeneratorRun, generator_runs
from workbench.study.record import create_study, refuse_unpaired

COMPARISON_VERSION = 6  # raise it when what a comparison holds changes


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished study: the content of `comparison.json`, and whether it was all there before."""

    comparison: dict[str, Any]
    already_done: bool


def run_study(config: StudyConfig, directory: Path, context: StageContext) -> Outcome:
    """Run a study to its end.

    Args:
        config: base, arms, generators, seeds.
        directory: the study's folder.
        context: reporter and stop signal.

        Raises:
            InputError: see `create_study`; or another process is using the study.
            StopRequested: stopped on request; finished work is kept.
    """
    refuse_unpaired(config)
    with run_lock(directory):
        study = create_study(config, directory)
        reporter = ToFile(directory / PROGRESS, context.reporter)
        context = dataclasses.replace(context, reporter=reporter)
        prepare_study(study, context)
        pending = [run for run in study.runs if not run_is_done(run)]
        # Divide by all runs, not by those still to do: exact bits depend on a run's threads.
        share = share_machine(
            len(study.runs), config.workers, config.threads, context.place.device.type
        )
        jobs = [(run.name, (study.directory, run.arm, run.seed)) for run in pending]
        run_side_by_side(jobs, finish_run, share, context)
        _finish_generators(study, context)
        return conclude(study, context)


def _finish_generators(study: Study, context: StageContext) -> None:
    """Train and score the generators beside the arms, after them, on the same machine."""
    runs, config = generator_runs(study), study.config
    pending = [(g.name, (study.directory, g.generator, g.seed)) for g in runs if not run_is_done(g)]
    if pending:
        device = context.place.device.type
        share = share_machine(len(runs), config.workers, config.threads, device)
        run_side_by_side(pending, finish_generator, share, context)


def prepare_study(study: Study, context: StageContext) -> None:
    """Make what all runs share, such as the corpus and the teacher's states."""
    for stage in SHARED:
        for owner in owners(study, stage):
            stage.run(owner, context, ())


def conclude(study: Study, context: StageContext) -> Outcome:
    """Compare the arms and write `comparison.json`, `scorecard.parquet` and `report.html`."""
    from workbench.probes.pair import probe_pairs
    from workbench.report.compare import compare_study
    from workbench.report.generators import compare_generators
    from workbench.report.study_report import write_report

    print_ = stage_fingerprint(
        {run.name: read_json(run.evaluation_file)["fingerprint"] for run in study.runs},
        {run.name: _probe_fingerprints(run) for run in study.runs},
        study.config.name,
        study.config.base.sampling,
        study.config.base.evaluation,
        COMPARISON_VERSION,
        *_generator_prints(study),
    )
    file = study.directory / "comparison.json"
    if file.is_file() and read_json(file).get("fingerprint") == print_:
        return Outcome(read_json(file), already_done=True)
    pairs = probe_pairs(study, context)
    context.reporter.update("comparison", 0, 2, {})
    with context.stop.interrupting("comparison"):
        compared = json_safe({**compare_study(study), **compare_generators(study)}, reasons={})
    comparison = {**compared, "pairs": pairs, "fingerprint": print_}
    pairing = {run.name: run.describe().get("pairing", {}) for run in study.runs}
    update_json(study.directory / "study.json", {"pairing": pairing})
    write_scorecard(study, comparison)
    context.reporter.update("comparison", 1, 2, {})
    write_report(study, comparison)
    write_json(file, comparison)
    context.reporter.update("comparison", 2, 2, {})
    return Outcome(comparison, already_done=False)


def _probe_fingerprints(run: Run) -> dict[str, str]:
    return {
        file.stem: str(read_json(file).get("fingerprint"))
        for file in sorted(run.probes_dir.glob("*.json"))
    }


def _generator_prints(study: Study) -> list[dict[str, str]]:
    """What the generators' part of the comparison was made from; nothing without generators."""
    files = {run.name: run.evaluation_file for run in generator_runs(study)}
    prints = {name: read_json(file)["fingerprint"] for name, file in files.items()}
    return [prints] if prints else []


def write_scorecard(study: Study, comparison: Mapping[str, Any]) -> None:
    """One row per (arm, seed), one column per metric; the input of a scorecard over studies."""
    import io

    import pandas as pd

    rows = []
    for run in study.runs:
        place = study.config.seeds.index(run.seed)
        row: dict[str, Any] = {"study": study.config.name, "arm": run.arm, "seed": run.seed}
        for metric, value in comparison["arms"][run.arm].items():
            seeds = value.get("seeds") or []
            row[metric] = seeds[place] if place < len(seeds) else None
        rows.append(row)
    buffer = io.BytesIO()
    pd.DataFrame(rows).to_parquet(buffer, index=False)
    write_file(study.directory / "scorecard.parquet", buffer.getvalue())


def run_is_done(run: Run | GeneratorRun) -> bool:
    """Whether a run's last stage is complete under the current settings and sources."""
    file = run.evaluation_file
    return file.is_file() and read_json(file)["fingerprint"] == evaluation_fingerprint(run)


def finish_run(directory: Path, arm: str, seed: int, context: StageContext) -> None:
    """Run every stage of one run, in its own process."""
    finish(open_study(directory).run(arm, seed), context)


def finish_generator(directory: Path, name: str, seed: int, context: StageContext) -> None:
    """Run every stage of one generator, in its own process."""
    finish(GeneratorRun(open_study(directory), name, seed), context)


def finish(run: Run | GeneratorRun, context: StageContext) -> None:
    """Run all stages. Several processes train together; the main one does all else alone."""
    place = context.place
    locked = run_lock(run.directory) if place.is_main else contextlib.nullcontext()
    with process_group(place), locked, run_loggers(run, context) as logged:
        alone = dataclasses.replace(logged, place=place.alone())
        for stage in stages_of(run):
            if stage.training is not None:
                stage.run(run, logged, ())
            elif place.is_main:
                stage.run(run, alone, ())
            place.wait_for_all()


@contextlib.contextmanager
def run_loggers(run: Run | GeneratorRun, context: StageContext) -> Iterator[StageContext]:
    """The context with the study's loggers opened for one run, in the main process."""
    study = run.study.config
    names = study.loggers if context.place.is_main else ()
    config = settings.to_dict(run.config)
    check_loggers(names)
    note, directory = context.reporter.note, run.directory
    loggers = [Contained(name, note, directory, study.name, config) for name in names]
    try:
        yield dataclasses.replace(context, loggers=tuple(loggers))
    finally:
        for logger in loggers:
            logger.close()
