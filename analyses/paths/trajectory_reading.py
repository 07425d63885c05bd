"""Reading along a trajectory: when tokens settle, how sure the decoder is, what comes first.

Steps are counted as shares of the whole, 0 = noise and 1 = the final latent, so that samplers
with different numbers of steps can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.intervals import (
    BootstrapConfig,
    bootstrap,
    grouped_bootstrap,
    interval_from_samples,
    resample_counts,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajectoryReadingConfig:
    """Settings of the readings.

    Attributes:
        rise: Share of its whole rise at which a curve counts as risen.
        bootstrap: Interval, over texts.
        seed: Seed of the shuffled readings.
    """

    rise: float = 0.9
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.rise <= 1.0:
            raise ValueError(f"rise must lie in (0, 1], got {self.rise}")
        check_at_least(self, 0, "seed")


def commitment(
    token_ids: np.ndarray,
    mask: np.ndarray | None = None,
    config: TrajectoryReadingConfig | None = None,
) -> Result:
    """Mean step, as a share of all steps, from which a token never changes again.

    Commit step of a token: the first s with `token_ids[s'] == token_ids[S]` for all s' >= s.

    Args:
        token_ids: (S + 1, B, L) int, the text read at each step, S >= 1.
        mask: (B, L) bool, True = a target token; all by default.
        config: Interval, seed.

    Returns:
        Score in [0, 1], lower = earlier; chance is the same when the texts of every step but the
        last are shuffled. `detail["agreement"]` (S + 1) is the share of tokens that read as in
        the final text, `["chance_agreement"]` the same shuffled; `per_item` has every token.
    """
    config = config or TrajectoryReadingConfig()
    ids = np.asarray(token_ids)
    if ids.ndim != 3 or len(ids) < 2 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"token_ids must be integers (S + 1, B, L), got {ids.dtype} {ids.shape}")
    real = np.ones(ids.shape[1:], bool) if mask is None else np.asarray(mask, dtype=bool)
    if real.shape != ids.shape[1:]:
        raise ValueError(f"mask must have shape {ids.shape[1:]}, got {real.shape}")
    name = "trajectory.commit_step"
    if not real.any():
        return undefined(name, "mask holds no target token", 0)
    rng = np.random.default_rng(config.seed)
    shuffled = np.stack([*(step[rng.permutation(ids.shape[1])] for step in ids[:-1]), ids[-1]])
    steps, null = _commit_steps(ids)[real], _commit_steps(shuffled)[real]
    texts = np.nonzero(real)[0]
    interval = grouped_bootstrap(steps, texts, config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=float(null.mean()),
        higher_is_better=None,
        detail={
            "agreement": (ids == ids[-1])[:, real].mean(axis=1),
            "chance_agreement": (shuffled == ids[-1])[:, real].mean(axis=1),
        },
        per_item={"text": texts, "position": np.nonzero(real)[1], "commit_step": steps},
    )


def fluency_against_fidelity(
    fluency: np.ndarray, fidelity: np.ndarray, config: TrajectoryReadingConfig | None = None
) -> Result:
    """How much later fidelity rises than fluency, as a share of the steps.

    Each mean curve is risen at the first step where it has made `rise` of its way from its first
    value to its greatest; the score is the step of fidelity less that of fluency, over S.

    Args:
        fluency: (S + 1, N), higher = more fluent (hand in minus nats per token); NaN = undefined.
        fidelity: (S + 1, N), higher = more faithful; NaN where a text expects no fact.
        config: `rise`, interval.

    Returns:
        Score in [-1, 1], above 0 = fluency first; chance 0. Undefined where a curve never rises
        above its start. Texts are resampled together for both curves; resamples in which a curve
        never rises are counted in `detail["never_rises"]` and left out of the interval.

    Raises:
        ValueError: On different shapes, fewer than 2 steps, or infinite values.
    """
    config = config or TrajectoryReadingConfig()
    name = "trajectory.fidelity_lag"
    curves = [np.asarray(values, dtype=np.float64) for values in (fluency, fidelity)]
    if curves[0].shape != curves[1].shape or curves[0].ndim != 2 or len(curves[0]) < 2:
        raise ValueError(
            "fluency and fidelity must share a shape (S + 1, N), S >= 1, "
            f"got {curves[0].shape} and {curves[1].shape}"
        )
    if any(np.isinf(curve).any() for curve in curves):
        raise ValueError("fluency and fidelity must be finite or NaN")
    n, last = curves[0].shape[1], len(curves[0]) - 1
    ones = np.ones((1, n))
    rises = [_rise_steps(_mean_curves(curve, ones), config.rise)[0] for curve in curves]
    detail = {
        label: {
            "mean": [bootstrap(row, config.bootstrap) for row in curve],
            "rise_step": None if np.isnan(step) else step / last,
        }
        for label, curve, step in zip(("fluency", "fidelity"), curves, rises, strict=True)
    }
    for label, step in zip(("fluency", "fidelity"), rises, strict=True):
        if np.isnan(step):
            return undefined(name, f"{label} never rises above its start", n, detail=detail)
    samples = _lag_samples(curves, config) / last
    score = float(rises[1] - rises[0]) / last
    interval = interval_from_samples(score, samples, n, config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=0.0,
        higher_is_better=False,
        detail={**detail, "never_rises": int(np.isnan(samples).sum())},
    )


def _commit_steps(ids: np.ndarray) -> np.ndarray:
    """(B, L) in [0, 1]: one after the last step whose token differs from the final one."""
    differs = ids != ids[-1]
    last = len(ids) - 1 - differs[::-1].argmax(axis=0)
    return np.where(differs.any(axis=0), last + 1, 0) / (len(ids) - 1)


def _mean_curves(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means (R, S + 1) of values (S + 1, N) under resample counts (R, N), NaN left out."""
    known = ~np.isnan(values)
    sizes = counts @ known.T.astype(np.float64)
    sums = counts @ np.nan_to_num(values).T
    return np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)


def _rise_steps(curves: np.ndarray, rise: float) -> np.ndarray:
    """First step (R,) at which each curve (R, S + 1) has made `rise` of its way; NaN if never."""
    start = curves[:, 0]
    top = np.max(np.where(np.isnan(curves), -np.inf, curves), axis=1)
    risen = top > start
    target = start + rise * (top - start)
    # Rounding must not push the target of rise = 1 above the top itself.
    reached = curves >= np.minimum(target, top)[:, None]
    return np.where(risen, reached.argmax(axis=1), np.nan)


def _lag_samples(curves: list[np.ndarray], config: TrajectoryReadingConfig) -> np.ndarray:
    rng = np.random.default_rng(config.bootstrap.seed)
    parts = []
    for counts in resample_counts(curves[0].shape[1], config.bootstrap.num_resamples, rng):
        first, second = (_rise_steps(_mean_curves(curve, counts), config.rise) for curve in curves)
        parts.append(second - first)
    return np.concatenate(parts)
