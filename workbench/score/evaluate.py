"""The evaluation stage of a run, and the study's baselines: floors, ceilings, autoregression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.machine.context import StageContext, stage_fingerprint
from workbench.sample.held_out import read_samples, samples_frame, sampling_fingerprint, scale_name
from workbench.sample.prompts import held_out_prompts
from workbench.score.directions import HIGHER_IS_BETTER
from workbench.score.judge import Judge, Scores, featurizer_name, mauve_config
from workbench.store.atomic import publish
from workbench.store.json_files import read_json, write_json
from workbench.store.manifest import is_complete
from workbench.study.model_content import ENCODER_CONTENT, encoder_content, is_exchanged
from workbench.train.language_model import language_model_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sample.continuations import Continuations
    from workbench.study.folders import Run, Study

CONTROLS = ("human", "shuffled_words", "wrong_source", "prompt_copy")


def evaluation_fingerprint(run: Run) -> str:
    """Fingerprint of the evaluation stage."""
    base = run.study.config.base
    # The study's settings determine the judge, except how often its training was extended.
    judge = base.language_model_training
    longer = [language_model_fingerprint(run.study)] if judge.earlier_num_steps else []
    return stage_fingerprint(sampling_fingerprint(run), base.evaluation, *longer)


def evaluate_run(run: Run, context: StageContext) -> dict[str, Any]:
    """Score the run's samples at every guidance scale; done once per run.

    Writes `scores/<scale>.parquet` (one row per prompt, one column per metric),
    `scores/<scale>.npy` (features of the continuations) and `evaluation.json`.

    Returns:
        The content of `evaluation.json`.
    """
    print_ = evaluation_fingerprint(run)
    content = encoder_content(run.study.config.base.evaluation)
    sound = run.evaluation_file.is_file() and is_complete(run.scores_dir, print_)
    if sound and not is_exchanged(run.scores_dir, content, ENCODER_CONTENT):
        return read_json(run.evaluation_file)
    judge = Judge(run.study, context.place)
    scales = [scale_name(scale) for scale in run.config.sampling.guidance_scales]
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


def write_scores(folder: Path, name: str, scores: Scores) -> None:
    """Write per-text scores as Parquet and features as .npy."""
    import pandas as pd

    frame = pd.DataFrame({**scores.per_text, "empty": scores.empty})
    frame.to_parquet(folder / f"{name}.parquet", index=False)
    np.save(folder / f"{name}.npy", scores.embeddings)


def describe_scores(scores: Scores, judge: Judge) -> dict[str, Any]:
    """Means with intervals, MAUVE, and corpus-level detail, as JSON values."""
    from analyses.result import json_safe
    from analyses.statistics.intervals import BootstrapConfig, bootstrap

    config = BootstrapConfig(num_resamples=judge.config.num_resamples, seed=judge.config.seed)
    metrics: dict[str, Any] = {
        name: {
            **json_safe(bootstrap(values, config)),
            "higher_is_better": HIGHER_IS_BETTER.get(name),
        }
        for name, values in scores.per_text.items()
    }
    mauve = scores.mauve.to_json()
    metrics[f"mauve[{featurizer_name(judge.config.encoder)}]"] = {
        "mean": mauve["score"],
        "low": mauve["low"],
        "high": mauve["high"],
        "n": mauve["n"],
        "reason": mauve["reason"],
        "higher_is_better": True,
        "detail": mauve["detail"],
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
    )


def prepare_baselines(study: Study, context: StageContext) -> dict[str, Any]:
    """Score human controls and the autoregressive baseline on the study's prompts, once per study.

    Returns:
        name -> `describe_scores`, for the controls, for `autoregressive` and, with MAUVE only, for
        `human_halves`.
    """
    corpus = study.corpus
    config = study.config.base
    print_ = baselines_fingerprint(study)
    file = study.baselines_dir / "baselines.json"
    content = encoder_content(config.evaluation)
    sound = is_complete(study.baselines_dir, print_)
    if sound and not is_exchanged(study.baselines_dir, content, ENCODER_CONTENT):
        return read_json(file)
    from analyses.texts.generation_controls import control_texts

    judge = Judge(study, context.place)
    references = judge.references
    total = len(CONTROLS) + 1
    document: dict[str, Any] = {}
    with (
        publish(
            study.baselines_dir, meta={"fingerprint": print_, ENCODER_CONTENT: content}
        ) as folder,
        context.stop.interrupting("baselines"),
    ):
        for number, name in enumerate(CONTROLS):
            context.reporter.update("baselines", number, total, {})
            texts = control_texts(
                name, references.prompts, references.continuations, seed=config.seed
            )
            tokens = references.token_ids
            if name != "human":
                tokens = [e.token_ids for e in corpus.tokenizer.encode_batch(texts)]
            document[name] = describe_scores(judge.score(texts, tokens), judge)
        written = autoregressive_baseline(judge, context)
        samples_frame(written, references).to_parquet(
            folder / "autoregressive.parquet", index=False
        )
        scores = judge.score(written.texts, written.token_ids, written.ended)
        write_scores(folder, "autoregressive-scores", scores)
        document["autoregressive"] = describe_scores(scores, judge)
        document["human_halves"] = {"metrics": _human_halves(judge)}
        write_json(folder / "baselines.json", document)
        context.reporter.update("baselines", total, total, {})
    return document


def autoregressive_baseline(judge: Judge, context: StageContext) -> Continuations:
    """The judge's own continuations, by nucleus sampling."""
    import time

    from workbench.machine.seeds import step_generator
    from workbench.sample.continuations import Continuations, cut_continuations

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


def _human_halves(judge: Judge) -> dict[str, Any]:
    """MAUVE between two halves of the human continuations: the ceiling of MAUVE here."""
    from analyses.texts.generation_controls import human_halves
    from analyses.texts.mauve_score import mauve_score

    embeddings = judge.references.embeddings
    if len(embeddings) < 2:
        return {}
    left, right = human_halves(len(embeddings), seed=judge.config.seed)
    name = featurizer_name(judge.config.encoder)
    result = mauve_score(
        embeddings[left], embeddings[right], mauve_config(judge.config), featurizer=name
    ).to_json()
    return {
        f"mauve[{name}]": {
            "mean": result["score"],
            "low": result["low"],
            "high": result["high"],
            "n": result["n"],
            "reason": result["reason"],
        }
    }
