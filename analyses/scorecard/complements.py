"""What the strongest probes of a scorecard add to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from analyses.scorecard.predictors import ScorecardConfig, arm_draws, estimate
from analyses.scorecard.row import Estimate, ScorecardRow, by_strength
from analyses.scorecard.run_table import RunTable
from analyses.statistics.rank_correlation import partial_spearman, spearman

UNKNOWN = Estimate(value=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Complements:
    """The strongest measures of different probes, held against one score alone and together.

    They are chosen by the runs that they are measured on, so all numbers flatter a little.

    Attributes:
        score: Generation score.
        predictors: One measure of each probe, the strongest first; fewer than two if no more are
            defined, and then there are no numbers.
        num_runs: Runs that have all of them and the score.
        num_arms: Arms among them.
        alone: Measure -> Spearman with the score, over these runs.
        partial: Measure -> another one -> Spearman with the score, given the other.
        together: Spearman of the sum of their ranks, each turned as it correlates.
        gain: That less the absolute Spearman of the first alone.
    """

    score: str
    predictors: tuple[str, ...]
    num_runs: int = 0
    num_arms: int = 0
    alone: Mapping[str, Estimate] = field(default_factory=dict)
    partial: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    together: Estimate = UNKNOWN
    gain: Estimate = UNKNOWN


def complements(
    table: RunTable,
    rows: Sequence[ScorecardRow],
    score: str,
    config: ScorecardConfig | None = None,
) -> Complements:
    """Hold the strongest measures of `config.top_k` different probes against one score.

    Measures of one probe tell much the same, so each probe (the name up to its first point) is
    represented by the one with the largest absolute Spearman.

    Args:
        table: The runs.
        rows: Their scorecard, from `predictors.scorecard`.
        score: A score of it.
        config: How many probes; resamples of arms.

    Source: partial rank correlation; sums of ranks as in Borda's count.
    """
    config = config or ScorecardConfig()
    names = strongest([row for row in rows if row.score == score], config.top_k)
    columns = [table.oriented(name, table.probes[name]) for name in names]
    y = table.oriented(score, table.scores[score])
    known = np.flatnonzero(~np.isnan(np.stack([*columns, y])).any(axis=0))
    arm_names, arms = np.unique(np.asarray(table.arms)[known], return_inverse=True)
    found = Complements(score=score, predictors=names, num_runs=len(known), num_arms=len(arm_names))
    if len(names) < 2 or found.num_arms < config.min_arms:
        return found
    return _measured(found, [column[known] for column in columns], y[known], arms, config)


def strongest(rows: Sequence[ScorecardRow], count: int) -> tuple[str, ...]:
    """The strongest measure of each of the `count` strongest probes; see `by_strength`."""
    known = [row for row in rows if not row.is_baseline and row.spearman.value is not None]
    best: dict[str, str] = {}
    for row in sorted(known, key=by_strength):
        best.setdefault(row.predictor.partition(".")[0], row.predictor)
    return tuple(best.values())[:count]


def _measured(
    found: Complements,
    columns: Sequence[np.ndarray],
    y: np.ndarray,
    arms: np.ndarray,
    config: ScorecardConfig,
) -> Complements:
    from scipy.stats import rankdata

    counts, level = arm_draws(found.num_arms, config)[:, arms], config.bootstrap.level
    rho = {name: spearman(x, y, counts) for name, x in zip(found.predictors, columns, strict=True)}
    values = dict(zip(found.predictors, columns, strict=True))
    partial: dict[str, dict[str, Estimate]] = {}
    for name, given in permutations(found.predictors, 2):
        left = partial_spearman(values[name], y, values[given], counts)
        partial.setdefault(name, {})[given] = estimate(left, level)
    ranks = sum(np.sign(rho[name][0]) * rankdata(values[name]) for name in found.predictors)
    together = spearman(np.asarray(ranks), y, counts)
    first = rho[found.predictors[0]]
    return replace(
        found,
        alone={name: estimate(own, level) for name, own in rho.items()},
        partial=partial,
        together=estimate(together, level),
        gain=estimate(together - np.sign(first[0]) * first, level),
    )
