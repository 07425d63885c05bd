"""One stage of a run, one pair of spaces, or one training's course: what verbs and pages start."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.pipeline.run_study import prepare_study, run_loggers
from workbench.store.lock import run_lock

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.machine.context import StageContext
    from workbench.pipeline.stage_states import Stage
    from workbench.study.folders import Run


def run_stage(
    run: Run,
    name: Stage,
    context: StageContext,
    only: Sequence[str] = (),
    *,
    umap: bool = False,
) -> dict[str, Any]:
    """One stage of one run: `vae`, `flow`, `samples`, `probes` or `evaluation`.

    What all runs share is prepared first, and an evaluation samples first. `only` names probes,
    without it all run but those on request; `umap` adds that map to them. Under torchrun all
    processes train together; what cannot be shared the main one does alone while the others wait.

    Returns:
        Where its results lie, and `already_done`: whether they all lay there before.
    """
    from data.corpus_store import open_corpus
    from workbench.machine.devices import process_group
    from workbench.pipeline.stage_states import stage_state
    from workbench.probes.catalogue import probe_names

    place, training = context.place, name in ("vae", "flow")
    alone = dataclasses.replace(context, place=place.alone())
    with process_group(place), run_loggers(run, context) as logged:
        if place.is_main:
            prepare_study(run.study, alone)
        place.wait_for_all()
        corpus = open_corpus(run.study.corpus_dir)
        with run_lock(run.directory) if place.is_main else contextlib.nullcontext():
            names = [*(only or probe_names("all")), *(["latent_map_umap"] if umap else [])]
            if not place.is_main:
                return _train_stage(run, name, corpus, logged) if training else {}
            done = stage_state(run, name, corpus, names).is_done
            if training:
                return {**_train_stage(run, name, corpus, logged), "already_done": done}
            return {**_score_stage(run, name, corpus, alone, names), "already_done": done}


def _train_stage(run: Run, name: str, corpus: Corpus, context: StageContext) -> dict[str, Any]:
    from workbench.train.flow import train_flow
    from workbench.train.vae import train_vae

    if name == "vae":
        train_vae(run, corpus, context)
        return {"run": str(run.directory), "vae": str(run.vae_dir)}
    train_flow(run, corpus, context)
    return {"run": str(run.directory), "flow": str(run.flow_dir)}


def _score_stage(
    run: Run, name: str, corpus: Corpus, context: StageContext, probes: Sequence[str]
) -> dict[str, Any]:
    from workbench.probes.run import probe_run
    from workbench.sample.held_out import sample_run
    from workbench.score.evaluate import evaluate_run

    if name == "probes":
        return {"run": str(run.directory), "probes": probe_run(run, corpus, context, probes)}
    sample_run(run, corpus, context)
    if name == "samples":
        return {"run": str(run.directory), "samples": str(run.samples_dir)}
    return {"run": str(run.directory), **evaluate_run(run, corpus, context)}


def run_pair(run: Run, other: str, context: StageContext) -> dict[str, Any]:
    """Probe a run together with another arm of its study under the same seed."""
    from data.corpus_store import open_corpus
    from workbench.probes.pair import pair_file, probe_pair

    if other not in run.study.config.arms:
        known = ", ".join(run.study.config.arms)
        raise InputError(f"no arm {other!r}; the study has {known}")
    second = run.study.run(other, run.seed)
    corpus = open_corpus(run.study.corpus_dir)
    with run_lock(run.study.directory):
        document = probe_pair(run, second, corpus, context)
    return {"file": str(pair_file(run, second)), **document}


def run_course(run: Run, context: StageContext) -> dict[str, Any]:
    """Probe the weights at every milestone of a run, and hold it against other arms so probed.

    Returns:
        `run`, `points` (what each point's file holds), and `onsets`: rows of `compare_readings`
        against each other arm whose course is stored, each with `against`.
    """
    from data.corpus_store import open_corpus
    from workbench.probes.course.onsets import compare_readings
    from workbench.probes.course.over_training import is_probed, probe_over_training

    alone = dataclasses.replace(context, place=context.place.alone())
    prepare_study(run.study, alone)
    corpus = open_corpus(run.study.corpus_dir)
    with run_lock(run.directory):
        points = probe_over_training(run, corpus, alone)
    others = [arm for arm in run.study.config.arms if arm != run.arm]
    onsets = [
        {"against": arm, **row}
        for arm in others
        if is_probed(run.study.run(arm, run.seed))
        for row in compare_readings(run.study, run.arm, arm)
    ]
    return {"run": str(run.directory), "points": points, "onsets": onsets}
