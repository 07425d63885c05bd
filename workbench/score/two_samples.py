"""Two-sample scores of all continuations against human ones: MAUVE, classifier, energy distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from analyses.result import Result
    from analyses.statistics.intervals import BootstrapConfig, Contrast
    from analyses.texts.c2st import C2STConfig
    from analyses.texts.energy import EnergyConfig
    from analyses.texts.mauve_score import MauveConfig
    from workbench.config.evaluation import EvaluationConfig


@dataclass(frozen=True)
class Sample:
    """Features of continuations, one row per prompt.

    Attributes:
        features: featurizer -> (N, W) float32; a costly featurizer may read only the first rows.
        empty: (N,) bool, continuations without a token; their rows are zeros.
    """

    features: Mapping[str, np.ndarray]
    empty: np.ndarray


@dataclass
class SampleScores:
    """Scores of two samples.

    Attributes:
        per_text: `c2st[...]` -> (N,) accuracy of the classifier on each prompt's two texts, NaN
            for prompts that the featurizer did not read.
        whole: scores of all texts together, by name.
        detail: AUC and null of each classifier.
    """

    per_text: dict[str, np.ndarray] = field(default_factory=dict)
    whole: dict[str, Result] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)


def compare_samples(
    human: Mapping[str, np.ndarray], sample: Sample, config: EvaluationConfig
) -> SampleScores:
    """Score continuations against human ones with every featurizer; the first also gives MAUVE."""
    from analyses.texts.c2st import c2st
    from analyses.texts.energy import energy_distance
    from analyses.texts.mauve_score import mauve_score

    scores = SampleScores()
    for number, (name, written) in enumerate(sample.features.items()):
        count = min(len(written), len(human[name]))
        own, rows, gone = human[name][:count], written[:count], sample.empty[:count]
        if number == 0:
            _keep(scores, mauve_score(own, rows, mauve_config(config), featurizer=name, empty=gone))
        _keep(
            scores, energy_distance(own, rows, energy_config(config), featurizer=name, empty=gone)
        )
        found = c2st(own, rows, c2st_config(config), featurizer=name, empty=gone)
        column = np.full(len(sample.empty), np.nan)
        if found.score is not None:
            column[:count] = found.per_item["accuracy"]
        scores.per_text[found.name] = column
        scores.detail[found.name] = dict(found.detail)
    return scores


def _keep(scores: SampleScores, result: Result) -> None:
    scores.whole[result.name] = result


def sample_contrasts(
    human: Mapping[str, np.ndarray],
    a: Sequence[Sample],
    b: Sequence[Sample],
    config: EvaluationConfig,
) -> dict[str, Contrast]:
    """Differences a - b of the scores of all texts together, over run seeds and prompts."""
    from analyses.texts.energy import energy_contrast
    from analyses.texts.mauve_contrast import mauve_paired_bootstrap

    contrasts = {}
    for number, name in enumerate(a[0].features):
        first, second = (np.stack([run.features[name] for run in runs]) for runs in (a, b))
        count = first.shape[1]
        gone_a, gone_b = (np.stack([run.empty[:count] for run in runs]) for runs in (a, b))
        rows = human[name][:count]
        if number == 0:
            contrasts[f"mauve[{name}]"] = mauve_paired_bootstrap(
                rows, first, second, mauve_config(config), empty_a=gone_a, empty_b=gone_b
            )
        contrasts[f"energy[{name}]"] = energy_contrast(
            rows, first, second, energy_config(config), empty_a=gone_a, empty_b=gone_b
        )
    return contrasts


def featurizer_name(encoder: str) -> str:
    """Name of an embedder inside `mauve[...]`: the last part of a model id."""
    return encoder.removeprefix("hf:").rstrip("/").split("/")[-1]


def _bootstrap(config: EvaluationConfig) -> BootstrapConfig:
    from analyses.statistics.intervals import BootstrapConfig

    return BootstrapConfig(num_resamples=config.num_resamples, seed=config.seed)


def mauve_config(config: EvaluationConfig) -> MauveConfig:
    """MAUVE's fixed settings."""
    from analyses.texts.mauve_score import MauveConfig

    return MauveConfig(
        num_buckets=config.mauve_buckets,
        num_seeds=config.mauve_seeds,
        bootstrap=_bootstrap(config),
    )


def c2st_config(config: EvaluationConfig) -> C2STConfig:
    """The classifier's settings."""
    from analyses.texts.c2st import C2STConfig

    return C2STConfig(seed=config.seed, bootstrap=_bootstrap(config))


def energy_config(config: EvaluationConfig) -> EnergyConfig:
    """Energy distance's settings."""
    from analyses.statistics.half_samples import HalfSampleConfig
    from analyses.texts.energy import EnergyConfig

    return EnergyConfig(seed=config.seed, halves=HalfSampleConfig(seed=config.seed))
