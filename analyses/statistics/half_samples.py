"""Intervals for statistics that duplicates would spoil: the delete-half jackknife.

A bootstrap resample holds copies, and a copy is its own nearest neighbour at distance zero, so
neighbour statistics, kernel statistics and Frechet distances are biased by it. Half samples
drawn without replacement hold none. Their spread around their own mean estimates the standard
error of the full-sample statistic, with no factor: ((n - d) / d) Var = Var for d = n / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analyses.numerics.settings import check_at_least, check_share
from analyses.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class HalfSampleConfig:
    """How many half samples are drawn, the interval's coverage, and the seed."""

    num_resamples: int = 40
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 2, "num_resamples")
        check_at_least(self, 0, "seed")
        check_share(self, "level")


def half_sample_interval(
    statistic: Callable[[np.ndarray], float | None],
    observed: float,
    n: int,
    config: HalfSampleConfig,
    groups: np.ndarray | None = None,
) -> Interval:
    """Normal interval around `observed` from the spread of `statistic` over half samples.

    Args:
        statistic: Maps sorted row numbers (n // 2,) to a number, None where it is undefined.
        observed: The statistic of all rows, which the interval is centred on.
        n: Number of rows.
        config: Resamples, coverage and seed.
        groups: (n,) int; when given, half of the groups are drawn with all of their rows.

    Returns:
        An interval without bounds and with a reason where fewer than two half samples are defined.

    Source: Shao and Wu 1989, "A general theory for jackknife variance estimation" (delete-d),
    with random subsets in place of all of them.
    """
    from scipy import stats

    rng = np.random.default_rng(config.seed)
    drawn = [statistic(_half(n, groups, rng)) for _ in range(config.num_resamples)]
    values = np.array([value for value in drawn if value is not None], dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size < 2:
        reason = "the statistic is not defined on half samples"
        return Interval(mean=float(observed), low=None, high=None, n=n, reason=reason)
    half = float(stats.norm.ppf(0.5 + config.level / 2) * values.std(ddof=1))
    return Interval(mean=float(observed), low=observed - half, high=observed + half, n=n)


def _half(n: int, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    if groups is None:
        return np.sort(rng.choice(n, size=n // 2, replace=False))
    names = np.unique(groups)
    kept = rng.choice(names, size=max(1, len(names) // 2), replace=False)
    return np.flatnonzero(np.isin(groups, kept))
