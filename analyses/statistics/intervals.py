"""Means and differences with their intervals: over items, groups, seeds and prompts.

Every function draws from its own `numpy.random.Generator` seeded by its config, so equal input
gives equal output. Resampling is written as a matrix of counts (R, n), "how often is item i in
resample r", which turns a bootstrapped mean into one matrix product. NaN marks an item for
which a metric is not defined (a text without expected facts): it is left out and `n` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analyses.numerics.settings import check_at_least, check_share

# Counts held at once: 4 M float64 are 32 MB, whatever the number of items.
_BLOCK_COUNTS = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapConfig:
    """How intervals are drawn: resamples, coverage and seed."""

    num_resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "num_resamples")
        check_at_least(self, 0, "seed")
        check_share(self, "level")


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean with its interval; None and a reason where it is not defined."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """Difference a - b with its interval and two-sided bootstrap p-value."""

    difference: float | None
    low: float | None
    high: float | None
    n: int
    p_value: float | None = None
    reason: str | None = None


def resample_counts(n: int, num_resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield bootstrap counts in blocks of resamples, each (block, n) with rows that sum to n."""
    block = max(1, _BLOCK_COUNTS // max(n, 1))
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def interval_from_samples(
    observed: float, samples: np.ndarray, n: int, config: BootstrapConfig
) -> Interval:
    """Percentile interval of bootstrap `samples` (R,) around an `observed` value."""
    low, high = percentiles(samples, config.level)
    return Interval(mean=float(observed), low=low, high=high, n=n)


def contrast_from_samples(
    observed: float, samples: np.ndarray, n: int, config: BootstrapConfig
) -> Contrast:
    """Percentile interval and p-value of bootstrapped differences (R,).

    The p-value is twice the smaller share of resamples on either side of zero, each share
    counted as (hits + 1) / (R + 1), so that it is never 0.
    """
    finite = samples[np.isfinite(samples)]
    low, high = percentiles(finite, config.level)
    below = (np.sum(finite <= 0.0) + 1) / (finite.size + 1)
    above = (np.sum(finite >= 0.0) + 1) / (finite.size + 1)
    p_value = float(min(1.0, 2.0 * min(below, above)))
    return Contrast(difference=float(observed), low=low, high=high, n=n, p_value=p_value)


def bootstrap(values: np.ndarray, config: BootstrapConfig | None = None) -> Interval:
    """Mean of per-item `values` (n,) with its percentile bootstrap interval over items.

    Args:
        values: One number per item; NaN where the metric is not defined for it.
        config: Resamples, coverage and seed.

    Raises:
        ValueError: If `values` is not one-dimensional or holds an infinite value.
    """
    config = config or BootstrapConfig()
    kept = _defined(as_rows(values, ndim=1))
    if kept.size == 0:
        return Interval(mean=None, low=None, high=None, n=0, reason="no item is defined")
    return interval_from_samples(kept.mean(), _mean_samples(kept, config), kept.size, config)


def grouped_bootstrap(
    values: np.ndarray, groups: np.ndarray, config: BootstrapConfig | None = None
) -> Interval:
    """Mean over rows with an interval that resamples whole groups (the tokens of a text).

    Rows of one text are not independent; resampling rows would make the interval too narrow.

    Args:
        values: (n,) one number per row, NaN where not defined.
        groups: (n,) int, the text each row belongs to.
        config: Resamples, coverage and seed.
    """
    config = config or BootstrapConfig()
    rows = as_rows(values, ndim=1)
    if rows.shape != np.shape(groups):
        raise ValueError(f"groups must have shape {rows.shape}, got {np.shape(groups)}")
    kept = ~np.isnan(rows)
    if not kept.any():
        return Interval(mean=None, low=None, high=None, n=0, reason="no item is defined")
    sums, sizes = group_sums(rows[kept], np.asarray(groups)[kept])
    samples = ratio_samples(sums, sizes, config)
    return interval_from_samples(rows[kept].mean(), samples, int(kept.sum()), config)


def group_sums(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of `values` (n,) and number of rows in each group, in the order of sorted ids."""
    _, inverse = np.unique(groups, return_inverse=True)
    return np.bincount(inverse, weights=values), np.bincount(inverse).astype(np.float64)


def ratio_samples(
    numerators: np.ndarray, denominators: np.ndarray, config: BootstrapConfig
) -> np.ndarray:
    """Bootstrap samples (R,) of sum(numerators) / sum(denominators), both (n,), over items."""
    rng = np.random.default_rng(config.seed)
    parts = [
        (counts @ numerators) / (counts @ denominators)
        for counts in resample_counts(numerators.size, config.num_resamples, rng)
    ]
    return np.concatenate(parts)


def paired_bootstrap(
    a: np.ndarray, b: np.ndarray, config: BootstrapConfig | None = None
) -> Contrast:
    """Mean of a - b over the same items, both (n,); pairs with a NaN on either side are left out.

    Raises:
        ValueError: If the shapes differ or a value is infinite.
    """
    config = config or BootstrapConfig()
    kept = _defined(_paired_difference(a, b, ndim=1))
    if kept.size == 0:
        return _no_contrast("no item is defined in both arms")
    return contrast_from_samples(kept.mean(), _mean_samples(kept, config), kept.size, config)


def hierarchical_bootstrap(values: np.ndarray, config: BootstrapConfig | None = None) -> Interval:
    """Mean over seeds of the mean over prompts, (S, n), resampling seeds and prompts.

    The prompts are the same for every seed, so the two are crossed: one draw of prompts serves
    all the drawn seeds. With one seed this is `bootstrap`. With few seeds the seed part is too
    narrow (three seeds give ten distinct draws): show the seeds as well.

    Source: Owen 2007, "The pigeonhole bootstrap", arXiv 0712.1111.
    """
    config = config or BootstrapConfig()
    table = _seeds_with_values(as_rows(values, ndim=2))
    if table.size == 0:
        return Interval(mean=None, low=None, high=None, n=0, reason="no item is defined")
    samples = _crossed_samples(table, config)
    return interval_from_samples(_mean_of_seeds(table), samples, _count(table), config)


def paired_hierarchical_bootstrap(
    a: np.ndarray, b: np.ndarray, config: BootstrapConfig | None = None
) -> Contrast:
    """Difference a - b over the same seeds and prompts, both (S, n); see the unpaired form."""
    config = config or BootstrapConfig()
    table = _seeds_with_values(_paired_difference(a, b, ndim=2))
    if table.size == 0:
        return _no_contrast("no item is defined in both arms")
    samples = _crossed_samples(table, config)
    return contrast_from_samples(_mean_of_seeds(table), samples, _count(table), config)


def seed_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Mean over seeds (S,) of one number per seed, with Student's t interval.

    A bootstrap over three seeds cannot reach beyond the three; t can. One seed has a mean and
    no interval.
    """
    from scipy import stats

    kept = _defined(as_rows(values, ndim=1))
    if kept.size == 0:
        return Interval(mean=None, low=None, high=None, n=0, reason="no seed is defined")
    mean = float(kept.mean())
    if kept.size == 1:
        return Interval(mean=mean, low=None, high=None, n=1, reason="one seed has no spread")
    half = stats.t.ppf(0.5 + level / 2, kept.size - 1) * kept.std(ddof=1) / np.sqrt(kept.size)
    return Interval(mean=mean, low=mean - float(half), high=mean + float(half), n=kept.size)


def percentiles(samples: np.ndarray, level: float) -> tuple[float, float]:
    """The middle `level` of samples (R,), NaN left out."""
    low, high = np.nanquantile(samples, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def as_rows(values: np.ndarray, *, ndim: int) -> np.ndarray:
    """Values as float64, refused if infinite or of another number of dimensions."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"values must have {ndim} dimension(s), got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError(f"values must be finite or NaN, got {int(np.isinf(array).sum())} infinite")
    return array


def _paired_difference(a: np.ndarray, b: np.ndarray, *, ndim: int) -> np.ndarray:
    first, second = as_rows(a, ndim=ndim), as_rows(b, ndim=ndim)
    if first.shape != second.shape:
        raise ValueError(f"paired arms must have equal shapes, got {first.shape}, {second.shape}")
    return first - second


def _defined(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def _mean_samples(values: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    return ratio_samples(values, np.ones_like(values), config)


def _seeds_with_values(table: np.ndarray) -> np.ndarray:
    """Drop seeds (rows) and prompts (columns) in which nothing is defined."""
    table = table[~np.isnan(table).all(axis=1)]
    return table[:, ~np.isnan(table).all(axis=0)] if table.size else table


def _mean_of_seeds(table: np.ndarray) -> float:
    return float(np.nanmean(table, axis=1).mean())


def _count(table: np.ndarray) -> int:
    """Prompts with a value under at least one seed: the number of independent items."""
    return int((~np.isnan(table)).any(axis=0).sum())


def _crossed_samples(table: np.ndarray, config: BootstrapConfig) -> np.ndarray:
    seed_rng, prompt_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(2)
    )
    num_seeds, num_prompts = table.shape
    filled, known = np.nan_to_num(table).T, (~np.isnan(table)).T.astype(np.float64)
    parts = []
    for prompts in resample_counts(num_prompts, config.num_resamples, prompt_rng):
        seeds = np.concatenate(list(resample_counts(num_seeds, len(prompts), seed_rng)))
        sizes = prompts @ known
        means = np.divide(prompts @ filled, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        weights = seeds * (sizes > 0)
        total = weights.sum(axis=1)
        sums = (weights * means).sum(axis=1)
        parts.append(np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0))
    return np.concatenate(parts)


def _no_contrast(reason: str) -> Contrast:
    return Contrast(difference=None, low=None, high=None, n=0, reason=reason)
