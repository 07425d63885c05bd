"""What predicts generation: directions of metrics, and the scorecard read from studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.score.directions import ACCURACY, direction

if TYPE_CHECKING:
    from analyses.scorecard.row import ScorecardRow

MIN_ARMS = 5  # with fewer, any order of arms is likely by chance
NUM_RESAMPLES, MIN_SHARE = 2000, 0.95  # of resamples that must be defined


@dataclass(frozen=True, kw_only=True, slots=True)
class RankCorrelation:
    """Spearman's rho of reconstruction with a score over runs, or the reason why there is none.

    Attributes:
        value: rho; None if it is not defined.
        low: lower end of its 95 % interval; whole arms are resampled.
        high: upper end.
        num_arms: arms with both numbers.
        num_runs: runs with both numbers.
        reason: why there is no value, or empty.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    num_arms: int
    num_runs: int
    reason: str = ""


def reconstruction_correlation(runs: Sequence[tuple[str, float, float]]) -> RankCorrelation:
    """Correlate reconstruction with a score, given (arm, token accuracy, score) of each run.

    The same arm in two studies counts as two arms, because the studies' settings differ.
    """
    from analyses.statistics.intervals import resample_counts
    from analyses.statistics.rank_correlation import spearman

    arms = sorted({arm for arm, _, _ in runs})
    found = RankCorrelation(num_arms=len(arms), num_runs=len(runs))
    if len(arms) < MIN_ARMS:
        return replace(found, reason=f"too few for a rank correlation ({MIN_ARMS} arms)")
    x, y = (np.array([row[column] for row in runs], np.float64) for column in (1, 2))
    place = np.array([arms.index(arm) for arm, _, _ in runs])
    rng = np.random.default_rng(0)
    draws = np.concatenate(list(resample_counts(len(arms), NUM_RESAMPLES, rng)))
    rho = float(spearman(x, y, np.ones((1, len(x))))[0])
    spread = spearman(x, y, draws[:, place])
    spread = spread[np.isfinite(spread)]
    if not np.isfinite(rho):
        return replace(found, reason="one side is constant")
    if len(spread) < MIN_SHARE * NUM_RESAMPLES:
        return replace(found, reason="all but a few arms are equal on one side")
    low, high = np.quantile(spread, [0.025, 0.975])
    return replace(found, value=rho, low=float(low), high=float(high))


def compared_runs(
    study: str, comparison: Mapping[str, Any], num_seeds: int, score: str
) -> Iterator[tuple[str, float, float]]:
    """(study/arm, token accuracy, score) of every run of a study that has both."""
    for arm, own in comparison["arms"].items():
        values = [(own.get(name) or {}).get("seeds") or [] for name in (ACCURACY, score)]
        for place in range(num_seeds):
            read, written = (seeds[place] if place < len(seeds) else None for seeds in values)
            if read is not None and written is not None:
                yield f"{study}/{arm}", float(read), float(written)


def metric_direction(name: str, known: Mapping[str, bool]) -> bool | None:
    """Whether more of a metric is better; None if it has no good end."""
    if name.startswith("generation."):
        return direction(name.removeprefix("generation."))
    return known.get(name)


def known_directions(comparison: Mapping[str, Any]) -> dict[str, bool]:
    """Metric -> whether higher is better, according to the study's own comparison."""
    return {
        name: bool(value["higher_is_better"])
        for own in comparison.get("arms", {}).values()
        for name, value in own.items()
        if value.get("higher_is_better") is not None
    }


def read_rows(folders: Sequence[Path]) -> list[ScorecardRow]:
    """The scorecard of the studies in these folders."""
    from analyses.scorecard.predictors import scorecard
    from workbench.report.scorecard import run_table
    from workbench.study.folders import open_study

    return scorecard(run_table([open_study(folder) for folder in folders]))
