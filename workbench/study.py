"""The whole pipeline: prepare, train twins, sample, probe, score, compare, report.

Every stage is skipped when its artefact is complete under the same fingerprint, so a study that
was stopped or killed goes on where it was, and a finished one says so.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analyses.result import json_safe
from workbench import settings
from workbench.config import StudyConfig, needs_teacher
from workbench.errors import InputError
from workbench.runs import Run, Study, open_study
from workbench.stages import StageContext, stage_fingerprint
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import run_lock
from workbench.workers import run_side_by_side, share_machine

HARMLESS = ("workers", "threads", "loggers", ".log_every", ".checkpoint_every", ".device")
COMPARISON_VERSION = 1  # raise it when what a comparison holds changes
VERSIONED = ("torch", "transformers", "numpy", "scikit-learn", "mauve-text", "tokenizers")


def create_study(config: StudyConfig, directory: Path) -> Study:
    """Write `study.json`, or check that the study there has the same configuration.

    Raises:
        InputError: a study of another configuration is there; the differences are listed.
    """
    _refuse_unpaired(config)
    file = directory / "study.json"
    if file.is_file():
        known = open_study(directory)
        changed = [
            row
            for row in settings.differences(known.config, config)
            if not row.key.endswith(HARMLESS)
        ]
        if changed:
            table = "; ".join(f"{row.key}: {row.left} -> {row.right}" for row in changed)
            raise InputError(f"{file}: the study was made with other settings ({table}); use --out")
    else:
        directory.mkdir(parents=True, exist_ok=True)
    study = Study(directory, config)
    mapping = settings.to_dict(config)
    before = read_json(file) if file.is_file() else {}
    write_json(
        file,
        {
            **before,
            "config": mapping,
            "fingerprint": settings.fingerprint(config),
            "versions": {name: version(name) for name in VERSIONED},
            "python": platform.python_version(),
        },
    )
    return study


def _refuse_unpaired(config: StudyConfig) -> None:
    """Arms share corpus, seed and evaluation; an arm that changes these has no twin."""
    for arm, overrides in config.arms.items():
        for key in overrides:
            if key.split(".")[0] in ("corpus", "seed", "sampling", "evaluation", "device"):
                raise InputError(
                    f"arm {arm!r} overrides {key}: arms of one study share corpus, seed, sampling "
                    "and evaluation, or nothing could be compared; make it a study of its own"
                )


def run_study(config: StudyConfig, directory: Path, context: StageContext) -> dict[str, Any]:
    """Bring a study to its end and return its comparison.

    Args:
        config: base, arms, seeds.
        directory: the study's folder.
        context: who watches and who may stop it.

    Returns:
        What `comparison.json` holds.
    """
    study = create_study(config, directory)
    with run_lock(study.directory):
        prepare_study(study, context)
        pending = [run for run in study.runs if not run_is_done(run)]
        share = share_machine(
            len(pending) or 1, config.workers, config.threads, context.place.device.type
        )
        jobs = [(run.name, (study.directory, run.arm, run.seed)) for run in pending]
        run_side_by_side(jobs, finish_run, share, context)
        return conclude(study, context)


def prepare_study(study: Study, context: StageContext) -> None:
    """What all runs share: corpus, judging language model, teacher states, references."""
    from workbench.evaluate import prepare_baselines
    from workbench.prepare import prepare_corpus, prepare_teacher
    from workbench.references import prepare_references
    from workbench.train_language_model import train_language_model

    corpus = prepare_corpus(study, context)
    train_language_model(study, corpus, context)
    teachers = {}
    for run in study.runs:
        if needs_teacher(run.config):
            teachers[study.teacher_dir(run.config)] = run.config
    for teacher_config in teachers.values():
        prepare_teacher(study, teacher_config, corpus, context)
    prepare_references(study, corpus, context)
    prepare_baselines(study, corpus, context)


def conclude(study: Study, context: StageContext) -> dict[str, Any]:
    """Compare the arms and write `comparison.json`, `scorecard.parquet` and `report.html`."""
    from workbench.compare import compare_study
    from workbench.report import write_report
    print_ = stage_fingerprint(
        settings.to_dict(study.config),
        [read_json(run.evaluation_file)["fingerprint"] for run in study.runs],
        COMPARISON_VERSION,
    )
    file = study.directory / "comparison.json"
    if file.is_file() and read_json(file).get("fingerprint") == print_:
        return read_json(file)
    context.reporter.update("comparison", 0, 2, {})
    comparison = {**json_safe(compare_study(study), reasons={}), "fingerprint": print_}
    write_scorecard(study, comparison)
    context.reporter.update("comparison", 1, 2, {})
    write_report(study, comparison)
    write_json(file, comparison)
    context.reporter.update("comparison", 2, 2, {})
    return comparison


def write_scorecard(study: Study, comparison: Mapping[str, Any]) -> None:
    """One row an (arm, seed), one column a metric: what a scorecard over studies is made from."""
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


def run_is_done(run: Run) -> bool:
    """Whether a run's last stage is complete under the present settings and sources."""
    from data.corpus_store import open_corpus
    from workbench.evaluate import evaluation_fingerprint

    if not run.evaluation_file.is_file():
        return False
    corpus = open_corpus(run.study.corpus_dir)
    return read_json(run.evaluation_file)["fingerprint"] == evaluation_fingerprint(run, corpus)


def run_stage(run: Run, name: str, context: StageContext) -> dict[str, Any]:
    """One stage of one run: `vae`, `flow`, `probes` or `evaluation`, with what it stands on."""
    from data.corpus_store import open_corpus
    from workbench.evaluate import evaluate_run
    from workbench.probe import probe_run
    from workbench.sample_run import sample_run
    from workbench.train_flow import train_flow
    from workbench.train_vae import train_vae

    if context.place.is_main:
        prepare_study(run.study, context)
    corpus = open_corpus(run.study.corpus_dir)
    with run_lock(run.directory):
        if name == "vae":
            train_vae(run, corpus, context)
            return {"run": str(run.directory), "vae": str(run.vae_dir)}
        if name == "flow":
            train_flow(run, corpus, context)
            return {"run": str(run.directory), "flow": str(run.flow_dir)}
        if name == "probes":
            return {"run": str(run.directory), "probes": probe_run(run, corpus, context)}
        sample_run(run, corpus, context)
        return {"run": str(run.directory), **evaluate_run(run, corpus, context)}


def finish_run(directory: Path, arm: str, seed: int, context: StageContext) -> None:
    """Every stage of one run, in a process of its own."""
    from data.corpus_store import open_corpus
    from workbench.evaluate import evaluate_run
    from workbench.sample_run import sample_run
    from workbench.probe import probe_run
    from workbench.train_flow import train_flow
    from workbench.train_vae import train_vae

    run = open_study(directory).run(arm, seed)
    corpus = open_corpus(run.study.corpus_dir)
    with run_lock(run.directory):
        train_vae(run, corpus, context)
        train_flow(run, corpus, context)
        sample_run(run, corpus, context)
        probe_run(run, corpus, context)
        evaluate_run(run, corpus, context)
