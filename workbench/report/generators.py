"""The generators beside the arms: their scores, contrasts with the arms, and what each one cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.config.training import TrainingConfig
from workbench.report.arm_metrics import arm_generation, load_scores
from workbench.report.contrasts import NUM_COMPARED_WITH, generation_contrasts
from workbench.report.verdicts import with_verdicts
from workbench.sample.held_out import scale_name
from workbench.store.checkpoints import MODEL, list_checkpoints
from workbench.study.folders import Run, Study
from workbench.study.generators import GeneratorRun, generator_runs


def compare_generators(study: Study) -> dict[str, Any]:
    """What `comparison.json` holds about generators; empty for a study without any.

    Returns:
        `generators`: name -> generation metrics, as for arms; `generator_contrasts`: each
        generator against the first two arms, paired over prompts and seeds; `costs`: arm or
        generator -> parameters, training compute and network evaluations.
    """
    config = study.config
    if not config.generators:
        return {}
    scale = scale_name(config.base.sampling.guidance_scales[0])
    scores = {
        arm: [load_scores(study.run(arm, s), scale) for s in config.seeds] for arm in config.arms
    }
    metrics = {}
    for name in config.generators:
        own = scale_name(config.generator(name).guidance_scale)
        runs = [GeneratorRun(study, name, seed) for seed in config.seeds]
        scores[name] = [load_scores(run, own) for run in runs]
        metrics[name] = arm_generation(scores[name], study, "generation")
    contrasts = [
        row
        for name in config.generators
        for arm in list(config.arms)[:NUM_COMPARED_WITH]
        for row in generation_contrasts(scores, name, arm, study, "generation")
    ]
    costs: dict[str, Any] = {arm: _arm_cost(study.run(arm, config.seeds[0])) for arm in config.arms}
    first = {run.generator: run for run in generator_runs(study) if run.seed == config.seeds[0]}
    costs |= {name: _generator_cost(run) for name, run in first.items()}
    return {
        "generators": metrics,
        "generator_contrasts": with_verdicts(contrasts),
        "costs": costs,
    }


def _arm_cost(run: Run) -> dict[str, Any]:
    config, window = run.config, run.study.corpus.window
    scale = scale_name(config.sampling.guidance_scales[0])
    passes = 6 + 2 * config.flow.self_conditioning_prob * config.dit.self_conditioning
    trained = [
        (run.vae_dir, config.vae_training, 6.0),
        (run.flow_dir, config.flow_training, passes),
    ]
    return _cost(trained, window, run.samples_dir / f"{scale}.parquet")


def _generator_cost(run: GeneratorRun) -> dict[str, Any]:
    scale = scale_name(run.config.guidance_scale)
    trained = [(run.model_dir, run.config.training, 6.0 * run.config.kind.streams)]
    cost = _cost(trained, run.study.corpus.window, run.samples_dir / f"{scale}.parquet")
    # What released weights cost is not written in them.
    return (
        {**cost, "training_tokens": None, "training_compute": None} if run.config.weights else cost
    )


def _cost(
    trained: Sequence[tuple[Path, TrainingConfig, float]], window: int, samples: Path
) -> dict[str, Any]:
    """Costs of models (folder, training, compute per parameter and token), and of the texts."""
    import pandas as pd

    counts = [count_parameters(folder) for folder, _, _ in trained]
    tokens = [training.num_steps * training.batch_size * window for _, training, _ in trained]
    rates = [rate for _, _, rate in trained]
    frame = pd.read_parquet(samples, columns=["nfe", "seconds"])
    return {
        "parameters": sum(counts),
        "training_tokens": sum(tokens),
        "training_compute": sum(map(math.prod, zip(rates, counts, tokens, strict=True))),
        "nfe": int(frame["nfe"].max()),
        "seconds_per_text": float(frame["seconds"].mean()),
    }


def count_parameters(folder: Path) -> int:
    """Numbers in the newest checkpoint's weights, found without reading them."""
    from safetensors import safe_open

    newest = list_checkpoints(folder)[-1]
    with safe_open(newest / MODEL, framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
        return sum(math.prod(shape) for shape in shapes)
