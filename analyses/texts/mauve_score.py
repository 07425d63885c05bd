"""MAUVE: how close the distribution of generated texts is to that of human ones.

The headline is the package's number, averaged over k-means seeds, with the number of buckets
pinned (the package's n / 10 would make n a part of the score) and named after the model that
made the features: `mauve[minilm]`. Intervals and paired contrasts resample the texts over buckets
that are fitted once per k-means seed, and these seeds as well. Texts without a token cannot be
embedded: a share e of them multiplies the score by 1 - e, so that they score 0.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.settings import check_at_least, check_positive
from analyses.result import Result, undefined
from analyses.statistics.intervals import BootstrapConfig, interval_from_samples
from analyses.texts.mauve_buckets import (
    bucket_labels,
    over_drawn_seeds,
    reduced,
    score_samples,
    split_labels,
    spread_labels,
    text_counts,
)

_STDERR_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class MauveConfig:
    """What is pinned, so that two scores may be compared.

    Attributes:
        num_buckets: k-means clusters; suits 250 to 500 texts per side.
        scaling_factor: c in exp(-c KL).
        num_seeds: k-means runs whose scores are averaged.
        seed: First k-means seed; the runs use seed, seed + 1, ...
        min_texts: Below this many texts per side the result is marked `too_few`.
        bootstrap: Resampling of the texts.
    """

    num_buckets: int = 25
    scaling_factor: float = 5.0
    num_seeds: int = 5
    seed: int = 25
    min_texts: int = 100
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_at_least(self, 2, "num_buckets")
        check_at_least(self, 1, "num_seeds", "min_texts")
        check_at_least(self, 0, "seed")
        check_positive(self, "scaling_factor")

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.num_seeds)


def mauve_score(
    references: np.ndarray,
    continuations: np.ndarray,
    config: MauveConfig | None = None,
    *,
    featurizer: str,
    empty: np.ndarray | None = None,
) -> Result:
    """MAUVE in [0, 1], mean over k-means seeds, with a bootstrap interval over texts.

    Row i of both arrays belongs to prompt i where the lengths agree, and a resample then draws
    prompts; else both sides are drawn on their own. A resample repeats texts and so lies
    further from the human side than the sample itself: the interval is the percentile interval
    moved to be centred on the score (a deviation from the plain percentile bootstrap).

    Args:
        references: (n, F) features of the human texts.
        continuations: (m, F) features of the generated texts.
        config: What is pinned.
        featurizer: Name of the model that made the features.
        empty: (m,) bool, generated texts without a token; their feature rows are not read.

    Raises:
        ValueError: On NaN features, differing widths, or a mask of another length.

    Source: Pillutla et al. 2021, arXiv 2102.01454; package mauve-text, except that equal
    histograms score 1.
    """
    config = config or MauveConfig()
    name = f"mauve[{featurizer}]"
    human = check_features(references, name="references", min_rows=1)
    written, kept = _without_empty(continuations, empty, human.shape[1])
    counts = {
        "num_empty": int((~kept).sum()),
        "num_buckets": config.num_buckets,
        "too_few": min(len(human), len(written)) < config.min_texts,
    }
    if not kept.any():
        return Result(name=name, score=0.0, n=len(kept), higher_is_better=True, detail=counts)
    if len(human) + len(written) < config.num_buckets:
        reason = f"{len(human) + len(written)} texts cannot fill {config.num_buckets} buckets"
        return undefined(name, reason, len(kept), detail=counts)
    per_seed = kept.mean() * np.array(
        [_package_score(human, written, config, seed) for seed in config.seeds]
    )
    score = float(per_seed.mean())
    samples = _score_samples(human, written, kept, config)
    centre = score - samples.mean()
    interval = interval_from_samples(score, samples + centre, len(kept), config.bootstrap)
    return Result(
        name=name,
        score=score,
        low=_clipped(interval.low),
        high=_clipped(interval.high),
        n=len(kept),
        higher_is_better=True,
        detail={
            **counts,
            "per_seed": per_seed,
            "resampling_shift": centre,
            "scaling_factor": config.scaling_factor,
        },
    )


def _package_score(human: np.ndarray, written: np.ndarray, config: MauveConfig, seed: int) -> float:
    from mauve.compute_mauve import compute_mauve

    with _quiet_stderr():
        scored = compute_mauve(
            p_features=human,
            q_features=written,
            num_buckets=config.num_buckets,
            mauve_scaling_factor=config.scaling_factor,
            seed=seed,
            verbose=False,
        )
    if np.array_equal(scored.p_hist, scored.q_hist):
        # Every point of the curve is (1, 1); the package sorts these ties apart and says .75.
        return 1.0
    return float(scored.mauve)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what faiss prints from C++ on every k-means of few points; exceptions still pass."""
    with _STDERR_LOCK:
        sys.stderr.flush()
        kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(sink, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(sink)


def _without_empty(
    features: np.ndarray, empty: np.ndarray | None, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the texts that have tokens, and the mask (m,) of these."""
    rows = np.asarray(features)
    kept = np.ones(len(rows), dtype=bool) if empty is None else ~np.asarray(empty, dtype=bool)
    if kept.shape != (len(rows),):
        raise ValueError(f"empty must have shape ({len(rows)},), got {kept.shape}")
    if len(rows) == 0:
        raise ValueError("continuations must hold at least 1 text, got 0")
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"continuations must have shape (m, {width}), got {rows.shape}")
    return check_features(rows[kept], name="continuations", min_rows=0), kept


def _score_samples(
    human: np.ndarray, written: np.ndarray, kept: np.ndarray, config: MauveConfig
) -> np.ndarray:
    """Bootstrap samples (R,) of the score over texts and over the seeds of k-means."""
    rows = reduced(np.vstack([written, human]))
    labelled = []
    for seed in config.seeds:
        labels = bucket_labels(rows, config.num_buckets, seed=seed)
        ours, theirs = split_labels(labels, [written, human])
        labelled.append((theirs, spread_labels(ours, kept)))
    pinned = (config.num_buckets, config.scaling_factor)
    parts = [
        np.stack([score_samples(*pair, counts, *pinned) for pair in labelled])
        for counts in text_counts(len(human), len(kept), config.bootstrap)
    ]
    return over_drawn_seeds(np.concatenate(parts, axis=1), config.bootstrap)


def _clipped(value: float | None) -> float | None:
    return None if value is None else float(min(1.0, max(0.0, value)))
