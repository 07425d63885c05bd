"""Differences between two arms: paired over prompts and seeds, or by the intervals of probes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.report.arm_metrics import RunScores, bootstrap_config, text_table
from workbench.score.directions import direction
from workbench.score.two_samples import sample_contrasts

if TYPE_CHECKING:
    from analyses.statistics.intervals import Contrast
    from workbench.study.folders import Study

NUM_COMPARED_WITH = 2  # contrasts are with the study's first arms: in presets none and repa


def generation_contrasts(
    scores: Mapping[str, Sequence[RunScores]], a: str, b: str, study: Study, family: str
) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys(name for run in scores[a] for name in run.per_text):
        contrast = text_contrast(scores[a], scores[b], study, name)
        rows.append(contrast_row(a, b, f"{family}.{name}", contrast, direction(name)))
    found = sample_contrasts(
        _human_features(study),
        [run.sample for run in scores[a]],
        [run.sample for run in scores[b]],
        study.config.base.evaluation,
    )
    for name, contrast in found.items():
        rows.append(contrast_row(a, b, f"{family}.{name}", contrast, direction(name)))
    return rows


def _human_features(study: Study) -> dict[str, np.ndarray]:
    """Featurizer -> features of the human continuations, as stored with the baselines."""
    return {
        file.name.removeprefix("human.").removesuffix(".npy"): np.load(file)
        for file in study.baselines_dir.glob("human.*.npy")
    }


def text_contrast(
    a: Sequence[RunScores], b: Sequence[RunScores], study: Study, name: str
) -> Contrast:
    """Difference a - b of a score with one value per prompt, paired over prompts and seeds."""
    from analyses.statistics.intervals import paired_hierarchical_bootstrap

    first, second = (text_table(runs, name) for runs in (a, b))
    return paired_hierarchical_bootstrap(first, second, bootstrap_config(study))


def probe_contrasts(arms: Mapping[str, Mapping[str, Any]], a: str, b: str) -> list[dict[str, Any]]:
    rows = []
    for name, first in arms[a].items():
        second = arms[b].get(name)
        if name.startswith("generation") or second is None:
            continue
        if first["mean"] is None or second["mean"] is None:
            continue
        contrast = probe_contrast(first, second)
        rows.append(contrast_row(a, b, name, contrast, first.get("higher_is_better")))
    return rows


def probe_contrast(first: Mapping[str, Any], second: Mapping[str, Any]) -> Contrast:
    """Difference of two metrics' means; their 95 % intervals are added in quadrature.

    The two-sided p-value is that of a normal distribution with this interval.
    """
    from scipy.stats import norm

    from analyses.statistics.intervals import Contrast

    difference, half = first["mean"] - second["mean"], _quadrature(first, second)
    return Contrast(
        difference=difference,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        n=min(first["n"], second["n"]),
        p_value=float(2 * norm.sf(abs(difference) * norm.ppf(0.975) / half)) if half else None,
    )


def _quadrature(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    ends = [first["low"], first["high"], second["low"], second["high"]]
    if any(end is None for end in ends):
        return None
    return 0.5 * math.hypot(ends[1] - ends[0], ends[3] - ends[2])


def contrast_row(
    a: str, b: str, metric: str, contrast: Contrast, higher_is_better: bool | None
) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "metric": metric,
        **asdict(contrast),
        "higher_is_better": higher_is_better,
    }
