"""Intrinsic dimension by TwoNN: how many directions a point's neighbourhood really has.

The ratio of the distances to the second and to the first neighbour follows a Pareto law whose
exponent is the local dimension, whatever the density. It has no unit, but it describes the
scale of nearest neighbours: noise wider than their spacing counts as dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_at_least, check_choice, check_share
from analyses.result import Result, undefined

Method = Literal["mle", "linear"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IntrinsicDimensionConfig:
    """Settings of TwoNN.

    Attributes:
        method: `mle` (maximum likelihood, censored) or `linear` (the fit of the 2017 paper).
        discard_fraction: Share of the largest ratios left out, where the law fits worst.
        level: Coverage of the interval.
        block_rows: Query rows searched at once.
        seed: Seed of the Gaussian reference cloud.
    """

    method: Method = "mle"
    discard_fraction: float = 0.1
    level: float = 0.95
    block_rows: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "method", Method)
        if not 0.0 <= self.discard_fraction < 1.0:
            raise ValueError(f"discard_fraction must lie in [0, 1), got {self.discard_fraction}")
        check_share(self, "level")
        check_at_least(self, 1, "block_rows")
        check_at_least(self, 0, "seed")


def intrinsic_dimension(
    features: np.ndarray,
    labels: np.ndarray | None = None,
    config: IntrinsicDimensionConfig | None = None,
) -> Result:
    """TwoNN dimension of the point cloud. O(N^2 F) time for the neighbour search.

    With `r = ln(d_2 / d_1)` of each point (Euclidean, centred), exponential of rate d:
    `mle`: `d = (m - 1) / (sum of the m smallest r + (N - m) r_m)`, `linear`: slope through 0 of
    `-ln(1 - F(r))` on r. Points with a twin at distance 0 are left out and counted. Invariant to
    rotation, translation and scale. The interval is that of the exponential rate (chi squared
    with 2 m degrees of freedom), which takes the ratios as independent.

    Args:
        features: (N, F), N >= 3.
        labels: Not used; part of the probes' interface.
        config: Method, discarded share, coverage.

    Returns:
        Score in dimensions; chance is the TwoNN dimension of a Gaussian cloud of the same N and
        covariance, so a score below chance means curved or clustered structure.

    Source: Facco et al. 2017, arXiv 1803.06992; censored likelihood as in
    Denti et al. 2022, arXiv 2104.13832.
    """
    config = config or IntrinsicDimensionConfig()
    rows = check_features(features)
    name = "intrinsic_dimension"
    ratios, duplicates = _log_ratios(rows, config)
    kept = int(len(ratios) * (1.0 - config.discard_fraction))
    if kept < 2 or ratios[kept - 1] <= 0.0:
        reason = f"only {len(ratios)} of {len(rows)} points have a neighbour at distance > 0"
        return undefined(name, reason, len(rows))
    score = _fit(ratios, kept, config.method)
    low, high = _interval(score, kept, config.level)
    return Result(
        name=name,
        score=score,
        chance=_gaussian_reference(rows, config),
        low=low,
        high=high,
        n=len(ratios),
        higher_is_better=None,
        detail={
            "mle": _fit(ratios, kept, "mle"),
            "linear": _fit(ratios, kept, "linear"),
            "kept": kept,
            "duplicates": duplicates,
            "width": rows.shape[1],
        },
    )


def _log_ratios(rows: np.ndarray, config: IntrinsicDimensionConfig) -> tuple[np.ndarray, int]:
    """Sorted ln(d_2 / d_1) of points with d_1 > 0, and how many have d_1 = 0."""
    found = nearest_neighbors(
        rows, NeighborConfig(k=2, metric="euclidean", block_rows=config.block_rows)
    )
    positive = found.distances[:, 0] > 0.0
    first, second = found.distances[positive].T
    return np.sort(np.log(second / first)), int((~positive).sum())


def _fit(ratios: np.ndarray, kept: int, method: str) -> float:
    used, n = ratios[:kept], len(ratios)
    if method == "mle":
        return float((kept - 1) / (used.sum() + (n - kept) * used[-1]))
    # With nothing discarded the last point has F = 1 and no logarithm.
    used = used[: min(kept, n - 1)]
    survival = -np.log1p(-np.arange(1, len(used) + 1) / n)
    return float(used @ survival / (used @ used))


def _interval(score: float, kept: int, level: float) -> tuple[float, float]:
    from scipy import stats

    quantiles = stats.chi2.ppf([0.5 - level / 2, 0.5 + level / 2], 2 * kept)
    low, high = score * quantiles / (2.0 * (kept - 1))
    return float(min(low, score)), float(max(high, score))


def _gaussian_reference(rows: np.ndarray, config: IntrinsicDimensionConfig) -> float | None:
    rng = np.random.default_rng(config.seed)
    covariance = np.atleast_2d(np.cov(rows, rowvar=False, dtype=np.float64))
    values, vectors = np.linalg.eigh(covariance)
    scale = vectors * np.sqrt(np.maximum(values, 0.0))
    cloud = rng.standard_normal((len(rows), len(values))) @ scale.T
    ratios, _ = _log_ratios(cloud, config)
    kept = int(len(ratios) * (1.0 - config.discard_fraction))
    return _fit(ratios, kept, config.method) if kept >= 2 and ratios[kept - 1] > 0 else None
