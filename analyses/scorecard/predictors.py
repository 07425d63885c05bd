"""Which probe, measured on the autoencoder alone, foretells generation?

Every probe is compared with every generation score over a table of runs; trivial baselines are
treated the same way. Seeds of one arm are not independent, so whole arms are resampled and
permuted. Signs are turned so that 1 always means "the probe's better end goes with the score's
better end".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from analyses.numerics.settings import check_at_least, check_share
from analyses.scorecard.row import Estimate, Foretelling, ScorecardRow
from analyses.scorecard.run_table import RunTable
from analyses.scorecard.selection import selection_regret, top_k_overlap
from analyses.statistics.intervals import BootstrapConfig, resample_counts
from analyses.statistics.rank_correlation import kendall, partial_spearman, spearman
from analyses.statistics.significance import holm


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorecardConfig:
    """Settings of the scorecard.

    Attributes:
        control: Baseline that partial correlations take out and that gains are counted over.
        top_k: Length of the lists whose overlap is reported.
        min_arms: Fewest arms with both values; fewer is "not defined".
        num_permutations: Permutations of arms behind the p-value.
        alpha: Level of the verdict, after Holm's correction within each score.
        bootstrap: Intervals, over arms.
        seed: Seed of the permutations.
    """

    control: str = "reconstruction.token_accuracy"
    top_k: int = 3
    min_arms: int = 5
    num_permutations: int = 4999
    alpha: float = 0.05
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "top_k", "num_permutations")
        check_at_least(self, 4, "min_arms")
        check_at_least(self, 0, "seed")
        check_share(self, "alpha")


def scorecard(table: RunTable, config: ScorecardConfig | None = None) -> list[ScorecardRow]:
    """Compare every predictor with every generation score.

    Args:
        table: Runs with their probes, scores and baselines.
        config: Control, list length, resamples, permutations.

    Returns:
        Rows by score, then in the table's order of probes and baselines.

    Raises:
        ValueError: If `config.control` is no baseline of the table.

    Source: Spearman, Kendall's tau-b, partial rank correlation; Holm 1979.
    """
    config = config or ScorecardConfig()
    if config.control not in table.baselines:
        raise ValueError(
            f"control {config.control!r} is no baseline; there are {sorted(table.baselines)}"
        )
    rows = []
    for score in table.scores:
        group = [_row(table, name, score, config) for name, _ in table.predictors()]
        rows += _with_verdicts(group, config)
    return rows


def verdict_of(row: ScorecardRow, adjusted_p: float, *, alpha: float) -> Foretelling:
    """A verdict needs an interval on one side of zero and a corrected p of at most `alpha`."""
    low, high = row.spearman.low, row.spearman.high
    if adjusted_p > alpha or low is None or high is None:
        return "not distinguishable"
    if low > 0.0:
        return "foretells"
    return "foretells the reverse" if high < 0.0 else "not distinguishable"


def _row(table: RunTable, name: str, score: str, config: ScorecardConfig) -> ScorecardRow:
    columns = {**table.probes, **table.baselines}
    x, y = table.oriented(name, columns[name]), table.oriented(score, table.scores[score])
    control = table.oriented(config.control, columns[config.control])
    known = np.flatnonzero(~(np.isnan(x) | np.isnan(y)))
    x, y, control = x[known], y[known], control[known]
    arm_names, arms = np.unique(np.asarray(table.arms)[known], return_inverse=True)
    row = ScorecardRow(
        predictor=name,
        score=score,
        is_baseline=name in table.baselines,
        num_runs=len(known),
        num_arms=len(arm_names),
    )
    if row.num_arms < config.min_arms:
        reason = f"{row.num_arms} arms have both values, {config.min_arms} are needed"
        return replace(row, reason=reason)
    for label, values in (("predictor", x), ("score", y)):
        if np.ptp(values) == 0.0:
            return replace(row, reason=f"the {label} is the same in all runs")
    return _measured(row, x, y, control, arms, np.asarray(table.families)[known], config)


def _measured(
    row: ScorecardRow,
    x: np.ndarray,
    y: np.ndarray,
    control: np.ndarray,
    arms: np.ndarray,
    families: np.ndarray,
    config: ScorecardConfig,
) -> ScorecardRow:
    draws = arm_draws(row.num_arms, config)
    counts, drawn = draws[:, arms], draws > 0
    probe_means, score_means = (_arm_means(v, arms) for v in (x, y))
    k, level = min(config.top_k, row.num_arms - 1), config.bootstrap.level
    rho = spearman(x, y, counts)
    row = replace(
        row,
        spearman=estimate(rho, level),
        kendall=estimate(kendall(x, y, counts), level),
        top_k_overlap=estimate(
            top_k_overlap(probe_means, score_means, k, drawn), level, chance=k / row.num_arms
        ),
        regret=estimate(selection_regret(probe_means, score_means, drawn), level, chance=1.0),
        without_family=_without_families(x, y, families),
        p_value=_permutation_p(probe_means, score_means, config),
    )
    if row.predictor == config.control or np.isnan(control).any():
        # Given itself, or against itself, a predictor has nothing left to say; and a space without
        # a decoder, such as a generator's, reads nothing back that could be taken out.
        return row
    gain = rho - np.nan_to_num(spearman(control, y, counts))
    return replace(
        row,
        partial=estimate(partial_spearman(x, y, control, counts), level),
        gain=estimate(gain, level),
    )


def _without_families(
    x: np.ndarray, y: np.ndarray, families: np.ndarray
) -> dict[str, float | None]:
    """Spearman without each family in turn; None where the rest is constant or under 3 runs."""
    names = np.unique(families)
    out: dict[str, float | None] = {}
    for name in names if len(names) > 1 else []:
        # A count of 0 leaves a run out of every rank and sum.
        kept = (families != name).astype(np.float64)[None]
        out[str(name)] = _finite(spearman(x, y, kept)[0]) if kept.sum() >= 3 else None
    return out


def arm_draws(num_arms: int, config: ScorecardConfig) -> np.ndarray:
    """(1 + R, A) counts: the sample itself, then bootstrap resamples of arms."""
    rng = np.random.default_rng(config.bootstrap.seed)
    parts = resample_counts(num_arms, config.bootstrap.num_resamples, rng)
    return np.concatenate([np.ones((1, num_arms)), *parts])


def _arm_means(values: np.ndarray, arms: np.ndarray) -> np.ndarray:
    return np.bincount(arms, weights=values) / np.bincount(arms)


def estimate(samples: np.ndarray, level: float, chance: float = 0.0) -> Estimate:
    """A value with its interval from samples (1 + R,): the observed one, then resamples.

    No interval where more resamples are undefined than it leaves out: those left have drawn the
    few arms that differ, and hardly vary.
    """
    value, rest = _finite(samples[0]), samples[1:][np.isfinite(samples[1:])]
    if value is None or rest.size < max(2, level * (len(samples) - 1)):
        return Estimate(value=value, chance=chance)
    low, high = np.quantile(rest, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value=value, low=float(low), high=float(high), chance=chance)


def _permutation_p(x: np.ndarray, y: np.ndarray, config: ScorecardConfig) -> float:
    """Two-sided p-value of Spearman's rho over arms, (hits + 1) / (P + 1) on each side."""
    from scipy.stats import rankdata

    first, second = (rankdata(v) - (len(v) + 1) / 2.0 for v in (x, y))
    rng = np.random.default_rng(config.seed)
    shuffled = rng.permuted(np.tile(second, (config.num_permutations, 1)), axis=1)
    # Midranks have a fixed spread under permutation, so their product orders as rho does.
    drawn, observed = shuffled @ first, float(second @ first)
    above = (np.sum(drawn >= observed - 1e-9) + 1) / (len(drawn) + 1)
    below = (np.sum(drawn <= observed + 1e-9) + 1) / (len(drawn) + 1)
    return float(min(1.0, 2.0 * min(above, below)))


def _with_verdicts(rows: list[ScorecardRow], config: ScorecardConfig) -> list[ScorecardRow]:
    p_values = [np.nan if row.p_value is None else row.p_value for row in rows]
    return [
        row
        if np.isnan(p)
        else replace(row, adjusted_p=float(p), verdict=verdict_of(row, p, alpha=config.alpha))
        for row, p in zip(rows, holm(np.array(p_values)), strict=True)
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
