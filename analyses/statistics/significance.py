"""Is it more than chance? Permutation nulls, Holm's correction, and the verdict on a contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.statistics.intervals import Contrast, as_rows, percentiles

Verdict = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Null:
    """A statistic under shuffled labels: mean, interval and the p-value of what was observed."""

    mean: float
    low: float
    high: float
    p_value: float
    num_permutations: int


def null_from_samples(observed: float, values: np.ndarray, level: float = 0.95) -> Null:
    """Summarise statistics (P,) drawn under a null beside the `observed` one."""
    low, high = percentiles(values, level)
    p_value = float((np.sum(values >= observed) + 1) / (values.size + 1))
    return Null(
        mean=float(values.mean()), low=low, high=high, p_value=p_value, num_permutations=len(values)
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (m,), in input order; NaN is no member of the family.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    p = as_rows(p_values, ndim=1)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("p_values must lie in [0, 1]")
    adjusted = np.full(p.shape, np.nan)
    order = [int(i) for i in np.argsort(p, kind="stable") if not np.isnan(p[i])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def verdict(
    contrast: Contrast,
    *,
    higher_is_better: bool = True,
    adjusted_p: float | None = None,
    alpha: float = 0.05,
) -> Verdict:
    """Say whether arm a is better than arm b, worse, or not distinguishable from it.

    An interval that touches zero, an undefined contrast, or an `adjusted_p` (from `holm`) above
    `alpha` is "not distinguishable".
    """
    if contrast.low is None or contrast.high is None:
        return "not distinguishable"
    if adjusted_p is not None and not adjusted_p <= alpha:
        return "not distinguishable"
    if contrast.low > 0:
        return "better" if higher_is_better else "worse"
    if contrast.high < 0:
        return "worse" if higher_is_better else "better"
    return "not distinguishable"
