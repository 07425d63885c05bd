"""The evaluation stage of a run, and the study's baselines: floors, ceilings, autoregression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.machine.context import StageContext, stage_fingerprint
from workbench.sample.generators import writing_fingerprint
from workbench.sample.held_out import read_samples, samples_frame, sampling_fingerprint, scale_name
from workbench.sample.prompts import held_out_prompts
from workbench.score.directions import direction
from workbench.score.judge import Judge, Scores
from workbench.score.rungs import rung_continuations
from workbench.store.atomic import publish
from workbench.store.json_files import read_json, write_json
from workbench.store.manifest import is_complete
from workbench.study.generators import GeneratorRun
from workbench.study.model_content import ENCODER_CONTENT, encoder_content, is_exchanged
from workbench.train.language_model import language_model_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.config.run import RunConfig
    from workbench.sample.continued import Continuations
    from workbench.study.folders import Run, Study

AUTOREGRESSIVE = "autoregressive"
EVALUATION_VERSION = 2  # raise it when the same continuations get other scores


def evaluation_fingerprint(run: Run | GeneratorRun) -> str:
    """Fingerprint of the evaluation stage."""
    samples = (
        writing_fingerprint(run) if isinstance(run, GeneratorRun) else sampling_fingerprint(run)
    )
    base = run.study.config.base
    # The study's settings determine the judge, except how often its training was extended.
    judge = base.language_model_training
    longer = [language_model_fingerprint(run.study)] if judge.earlier_num_steps else []
    return stage_fingerprint(samples, base.evaluation, _asked(base), *longer)


def _asked(base: RunConfig) -> list[Any]:
    """What scores depend on besides the evaluation settings."""
    return [EVALUATION_VERSION, base.outside if base.outside.model else None]


def evaluate_run(run: Run | GeneratorRun, context: StageContext) -> dict[str, Any]:
    """Score a run's or a generator's samples at every guidance scale; done once.

    Writes `scores/<scale>.parquet` (one row per prompt, one column per metric),
    `scores/<scale>@<featurizer>.npy` (features of the continuations) and `evaluation.json`.

    Returns:
        The content of `evaluation.json`.
    """
    print_ = evaluation_fingerprint(run)
    content = encoder_content(run.study.config.base.evaluation)
    sound = run.evaluation_file.is_file() and is_complete(run.scores_dir, print_)
    if sound and not is_exchanged(run.scores_dir, content, ENCODER_CONTENT):
        return read_json(run.evaluation_file)
    judge = Judge(run.study, context.place)
    scales = [scale_name(scale) for scale in _scales(run)]
    document: dict[str, Any] = {"fingerprint": print_, "guidance": {}}
    with (
        publish(run.scores_dir, meta={"fingerprint": print_, ENCODER_CONTENT: content}) as folder,
        context.stop.interrupting("evaluation"),
    ):
        for number, name in enumerate(scales):
            context.reporter.update("evaluation", number, len(scales), {})
            texts, tokens, ended = read_samples(run.samples_dir / f"{name}.parquet")
            scores = judge.score(texts, tokens, ended)
            write_scores(folder, name, scores)
            document["guidance"][name] = describe_scores(scores, judge)
        context.reporter.update("evaluation", len(scales), len(scales), {})
    write_json(run.evaluation_file, document)
    return document


def _scales(run: Run | GeneratorRun) -> tuple[float, ...]:
    """Guidance scales that a run has written at; a generator has one."""
    if isinstance(run, GeneratorRun):
        return (run.config.guidance_scale,)
    return run.config.sampling.guidance_scales


def write_scores(folder: Path, name: str, scores: Scores) -> None:
    """Write per-text scores as Parquet and features as .npy."""
    import pandas as pd

    frame = pd.DataFrame({**scores.per_text, "empty": scores.sample.empty})
    frame.to_parquet(folder / f"{name}.parquet", index=False)
    for featurizer, rows in scores.sample.features.items():
        np.save(folder / f"{name}@{featurizer}.npy", rows)


def describe_scores(scores: Scores, judge: Judge) -> dict[str, Any]:
    """Means with intervals, scores of all texts, and corpus-level detail, as JSON values."""
    from analyses.result import json_safe
    from analyses.statistics.intervals import BootstrapConfig, bootstrap

    config = BootstrapConfig(num_resamples=judge.config.num_resamples, seed=judge.config.seed)
    metrics: dict[str, Any] = {
        name: {**json_safe(bootstrap(values, config)), "higher_is_better": direction(name)}
        for name, values in scores.per_text.items()
    }
    for name, result in scores.whole.items():
        found = result.to_json()
        metrics[name] = {
            "mean": found["score"],
            **{key: found[key] for key in ("low", "high", "n", "reason", "detail")},
            "higher_is_better": direction(name),
        }
    return {"metrics": metrics, "detail": json_safe(scores.detail, reasons={})}


def baselines_fingerprint(study: Study) -> str:
    """Fingerprint of the baselines' scores; the study's references must exist."""
    config = study.config.base
    return stage_fingerprint(
        read_json(study.references_dir / "manifest.json")["meta"]["fingerprint"],
        config.language_model,
        config.language_model_training.identity,
        config.sampling.nucleus,
        config.evaluation,
        _asked(config),
    )


def prepare_baselines(study: Study, context: StageContext) -> dict[str, Any]:
    """Score the ladder of known damage, including its autoregressive rung; done once per study.

    Returns:
        rung -> `describe_scores`.
    """
    corpus = study.corpus
    config = study.config.base
    print_ = baselines_fingerprint(study)
    file = study.baselines_dir / "baselines.json"
    content = encoder_content(config.evaluation)
    sound = is_complete(study.baselines_dir, print_)
    if sound and not is_exchanged(study.baselines_dir, content, ENCODER_CONTENT):
        return read_json(file)
    from analyses.texts.ladder import RUNGS

    judge = Judge(study, context.place)
    references = judge.references
    rungs = [name for name in RUNGS if name != AUTOREGRESSIVE]
    total = len(RUNGS)
    document: dict[str, Any] = {}
    with (
        publish(
            study.baselines_dir, meta={"fingerprint": print_, ENCODER_CONTENT: content}
        ) as folder,
        context.stop.interrupting("baselines"),
    ):
        for featurizer, rows in judge.human_features.items():
            np.save(folder / f"human.{featurizer}.npy", rows)
        for number, name in enumerate(rungs):
            context.reporter.update("baselines", number, total, {})
            texts, tokens = rung_continuations(name, corpus, references, config.seed)
            scores = judge.score(texts, tokens, against_others=True)
            document[name] = describe_scores(scores, judge)
        written = autoregressive_baseline(judge, context)
        samples_frame(written, references).to_parquet(
            folder / "autoregressive.parquet", index=False
        )
        scores = judge.score(written.texts, written.token_ids, written.ended)
        write_scores(folder, "autoregressive-scores", scores)
        document[AUTOREGRESSIVE] = describe_scores(scores, judge)
        write_json(folder / "baselines.json", document)
        context.reporter.update("baselines", total, total, {})
    return document


def autoregressive_baseline(judge: Judge, context: StageContext) -> Continuations:
    """The judge's own continuations, by nucleus sampling."""
    import time

    from workbench.machine.seeds import step_generator
    from workbench.sample.continuations import cut_continuations
    from workbench.sample.continued import Continuations

    references, corpus = judge.references, judge.corpus
    base = context.place.device
    prompts = held_out_prompts(
        corpus, references.indices, references.cuts, references.prompts, joint=False
    )
    start = time.monotonic()
    model = judge.language_model
    token_ids = model.generate(
        torch.tensor(prompts.token_ids).to(base),
        torch.tensor(prompts.cuts).to(base),
        judge.study_config.sampling.nucleus,
        step_generator(base, judge.study_config.seed, "autoregressive"),
    ).cpu()
    tokens, ended = cut_continuations(token_ids.numpy(), prompts.cuts, corpus)
    return Continuations(
        prompts=prompts.texts,
        texts=[corpus.tokenizer.decode(ids) for ids in tokens],
        token_ids=tokens,
        ended=ended,
        nfe=max((len(ids) for ids in tokens), default=0) + 1,
        seconds=time.monotonic() - start,
        trace=None,
    )
