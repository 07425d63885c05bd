"""Paired contrast of two arms in MAUVE, over prompts and run seeds.

One k-means over the references and both arms serves both arms, so that they are measured in the
same way and a resample costs microseconds.
"""

from __future__ import annotations

import numpy as np

from analyses.numerics.features import check_features
from analyses.statistics.intervals import (
    BootstrapConfig,
    Contrast,
    contrast_from_samples,
    resample_counts,
)
from analyses.texts.mauve_buckets import (
    bucket_labels,
    over_drawn_seeds,
    reduced,
    score_samples,
    split_labels,
    spread_labels,
    text_counts,
)
from analyses.texts.mauve_score import MauveConfig


def mauve_paired_bootstrap(
    references: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    config: MauveConfig | None = None,
    *,
    empty_a: np.ndarray | None = None,
    empty_b: np.ndarray | None = None,
) -> Contrast:
    """MAUVE(a) - MAUVE(b) over the same prompts (and run seeds), with a paired interval.

    Deviation from the package: its buckets are fitted to one arm and the references, here to
    the references and both arms together. The difference is therefore not exactly that of two
    headline scores. Prompts are resampled for references and both arms
    alike; run seeds, when there are several, are resampled as pairs. The interval is centred
    on the observed difference, see `mauve_score`.

    Args:
        references: (n, F) features of the human continuations.
        a: (n, F), or (S, n, F) for S run seeds, features of the first arm.
        b: As `a`, the second arm.
        config: What is pinned.
        empty_a: (n,) or (S, n) bool, texts of `a` without a token.
        empty_b: The same for `b`.

    Raises:
        ValueError: If shapes differ or a feature that is read is not finite.
    """
    config = config or MauveConfig()
    human = check_features(references, name="references", min_rows=1)
    runs_a, runs_b = _runs(a, "a", human), _runs(b, "b", human)
    if len(runs_a) != len(runs_b):
        raise ValueError(f"paired arms need equal run seeds, got {len(runs_a)}, {len(runs_b)}")
    masks_a, masks_b = _masks(empty_a, runs_a), _masks(empty_b, runs_b)
    observed, samples = [], []
    for run in zip(runs_a, masks_a, runs_b, masks_b, strict=True):
        difference, resampled = _difference_samples(human, *run, config=config)
        if difference is None:
            reason = f"{len(human)} texts are too few to fill {config.num_buckets} buckets"
            return Contrast(difference=None, low=None, high=None, n=len(human), reason=reason)
        observed.append(difference)
        samples.append(resampled)
    drawn = _over_run_seeds(np.stack(samples), config.bootstrap)
    mean = float(np.mean(observed))
    return contrast_from_samples(mean, drawn + (mean - drawn.mean()), len(human), config.bootstrap)


def _difference_samples(
    human: np.ndarray,
    a: np.ndarray,
    kept_a: np.ndarray,
    b: np.ndarray,
    kept_b: np.ndarray,
    *,
    config: MauveConfig,
) -> tuple[float | None, np.ndarray]:
    """Observed difference and bootstrap samples (R,) for one run seed of both arms."""
    first, second = (
        check_features(a[kept_a], name="a", min_rows=0),
        check_features(b[kept_b], name="b", min_rows=0),
    )
    pool = [first, second, human]
    if len(human) < 3 or sum(map(len, pool)) < config.num_buckets:
        return None, np.empty(0)
    rows = reduced(np.vstack(pool))
    whole = np.ones((1, len(human)))
    observed, per_seed = [], []
    for seed in config.seeds:
        labels = split_labels(bucket_labels(rows, config.num_buckets, seed=seed), pool)
        arms = spread_labels(labels[0], kept_a), spread_labels(labels[1], kept_b)
        observed.append(_difference(labels[2], *arms, (whole, whole), config)[0])
        per_seed.append(
            np.concatenate(
                [
                    _difference(labels[2], *arms, weights, config)
                    for weights in text_counts(len(human), len(human), config.bootstrap)
                ]
            )
        )
    return float(np.mean(observed)), over_drawn_seeds(np.stack(per_seed), config.bootstrap)


def _difference(
    human: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    config: MauveConfig,
) -> np.ndarray:
    pinned = (config.num_buckets, config.scaling_factor)
    return score_samples(human, a, weights, *pinned) - score_samples(human, b, weights, *pinned)


def _runs(features: np.ndarray, name: str, human: np.ndarray) -> np.ndarray:
    """(S, n, F) view of one arm."""
    rows = np.asarray(features)
    rows = rows[None] if rows.ndim == 2 else rows
    if rows.ndim != 3 or rows.shape[1:] != human.shape:
        raise ValueError(
            f"{name} must have shape {human.shape} or (S, *{human.shape}), got {rows.shape}"
        )
    return rows


def _masks(empty: np.ndarray | None, runs: np.ndarray) -> np.ndarray:
    """(S, n) bool, True for texts with tokens."""
    if empty is None:
        return np.ones(runs.shape[:2], dtype=bool)
    kept = ~np.atleast_2d(np.asarray(empty, dtype=bool))
    if kept.shape != runs.shape[:2]:
        raise ValueError(f"empty must have shape {runs.shape[:2]}, got {kept.shape}")
    return kept


def _over_run_seeds(samples: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    """Mean over resampled run seeds of the samples (S, R), giving (R,)."""
    rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(3)[2])
    counts = np.concatenate(list(resample_counts(len(samples), samples.shape[1], rng)))
    return (counts * samples.T).sum(axis=1) / len(samples)
