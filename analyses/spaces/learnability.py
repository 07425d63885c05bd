"""How much of the space a small model can learn: ridge from context, and a tiny flow.

The ridge asks what a linear map of the context already says about the target; the tiny flow asks
how far below the Gaussian floor a briefly trained velocity network gets. The flow's training is
handed in as a function, so that this module needs no deep-learning library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.ridge import CrossFit, CrossFittedRidge, RidgeConfig
from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.intervals import (
    BootstrapConfig,
    bootstrap,
    group_sums,
    interval_from_samples,
    ratio_samples,
    seed_interval,
)

# (features (N, ...), num_steps, seed) -> held-out velocity loss of every example (M,), mean over
# dimensions, measured under the time distribution that the floor was computed for.
FlowTrainer = Callable[[np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnabilityConfig:
    """Settings of the learnability probes.

    Attributes:
        ridge: Penalties and folds.
        num_permutations: Row permutations of the target behind the chance level.
        num_steps: Training steps of the tiny flow.
        num_seeds: Independent trainings of the tiny flow.
        bootstrap: Interval.
        seed: Seed of the permutations and the first training seed.
    """

    ridge: RidgeConfig = field(default_factory=RidgeConfig)
    num_permutations: int = 10
    num_steps: int = 500
    num_seeds: int = 1
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "num_permutations", "num_steps", "num_seeds")
        check_at_least(self, 0, "seed")


def context_predictability(
    features: np.ndarray,
    target: np.ndarray,
    config: LearnabilityConfig | None = None,
    groups: np.ndarray | None = None,
) -> Result:
    """Held-out R^2 of a ridge regression from context latents to target latents.

    `1 - sum |y - y_hat|^2 / sum |y - mean_train y|^2` over held-out rows and all dimensions.
    O(N F^2 + F^3) a fold, no (N, N) matrix. Invariant to translation and scale of either side,
    and to rotation of the target.

    Args:
        features: (N, F) context features of every target row.
        target: (N, G) target latents as the flow sees them.
        config: Penalties, folds, permutations, interval.
        groups: (N,) int, text of every row; rows of one text share a fold and are resampled
            together.

    Returns:
        Score <= 1, 0 = the context says nothing linear, below 0 = overfit; chance is the mean R^2
        with permuted targets. `detail["per_dimension"]` holds the R^2 of each target column.

    Raises:
        ValueError: On NaN or infinite values (row ids named) or unpaired rows.
    """
    config = config or LearnabilityConfig()
    name = "learnability.context_r2"
    inputs, wide = check_features(features), check_features(target, name="target")
    if len(inputs) != len(wide):
        raise ValueError(f"target must pair with features, got {len(wide)} and {len(inputs)} rows")
    if not np.ptp(wide, axis=0).any():
        return undefined(name, "the target has no variance", len(wide))
    names = np.arange(len(wide)) if groups is None else np.asarray(groups)
    ridge = CrossFittedRidge(inputs, config.ridge, names)
    fit = ridge.fit(wide)
    errors, totals = (np.square(part).sum(axis=1) for part in (fit.residuals, fit.baseline))
    sums, bases = group_sums(errors, names)[0], group_sums(totals, names)[0]
    score = 1.0 - float(errors.sum() / totals.sum())
    samples = 1.0 - ratio_samples(sums, bases, config.bootstrap)
    interval = interval_from_samples(score, samples, len(sums), config.bootstrap)
    null = _permuted_scores(ridge, wide, config)
    return Result.of(
        name,
        interval,
        chance=float(null.mean()),
        n=len(wide),
        higher_is_better=True,
        detail={
            "null_high": float(null.max()),
            "groups": len(sums),
            "penalties": fit.penalties,
            "per_dimension": _per_dimension(fit),
        },
        per_item={"squared_error": errors, "squared_baseline": totals},
    )


def flow_excess(
    features: np.ndarray,
    train: FlowTrainer,
    floor: float,
    config: LearnabilityConfig | None = None,
) -> Result:
    """Held-out velocity loss of a briefly trained tiny flow, less its Gaussian floor.

    `mean loss - floor`: above 0 the flow has not even learnt the covariance, below 0 it has learnt
    structure beyond it. Raw losses of two spaces are never comparable; `detail["ratio"]`,
    loss / floor, nearly is. Chance is 0, the best denoiser that knows only the covariance.

    Args:
        features: (N, ...) latents as the flow sees them, N >= 3, handed to `train` unchanged.
        train: Trains and returns the held-out losses; called once per seed.
        floor: Gaussian floor per dimension under the trainer's time distribution, > 0.
        config: Steps, seeds, interval.

    Returns:
        Score in velocity variance per dimension; lower is better. The interval is over held-out
        examples with one seed, Student's t over seeds with more.

    Raises:
        ValueError: If latents hold NaN or infinity, `floor` is not > 0, or a loss is not finite.
    """
    config = config or LearnabilityConfig()
    latents = np.asarray(features)
    check_features(latents.reshape(len(latents), -1))
    if not floor > 0.0 or not np.isfinite(floor):
        raise ValueError(f"floor must be finite and > 0, got {floor}")
    seeds = range(config.seed, config.seed + config.num_seeds)
    losses = [_checked_losses(train(latents, config.num_steps, seed), seed) for seed in seeds]
    means = np.array([loss.mean() for loss in losses]) - floor
    if config.num_seeds == 1:
        interval = bootstrap(losses[0] - floor, config.bootstrap)
    else:
        interval = seed_interval(means, config.bootstrap.level)
    return Result.of(
        "learnability.flow_excess",
        interval,
        score=float(means.mean()),
        chance=0.0,
        n=len(losses[0]),
        higher_is_better=False,
        detail={
            "floor": floor,
            "ratio": 1.0 + float(means.mean()) / floor,
            "num_steps": config.num_steps,
            "seeds": list(seeds),
            "per_seed": means,
        },
    )


def _permuted_scores(
    ridge: CrossFittedRidge, target: np.ndarray, config: LearnabilityConfig
) -> np.ndarray:
    rng = np.random.default_rng(config.seed)
    scores = []
    for _ in range(config.num_permutations):
        fit = ridge.fit(target[rng.permutation(len(target))])
        scores.append(1.0 - np.square(fit.residuals).sum() / np.square(fit.baseline).sum())
    return np.array(scores)


def _per_dimension(fit: CrossFit) -> np.ndarray:
    """R^2 of every target column (G,); NaN where a column is constant."""
    total = np.square(fit.baseline).sum(axis=0)
    share = np.full_like(total, np.nan)
    np.divide(np.square(fit.residuals).sum(axis=0), total, out=share, where=total > 0.0)
    return 1.0 - share


def _checked_losses(losses: np.ndarray, seed: int) -> np.ndarray:
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"train must return losses of shape (M,), M >= 1, got {values.shape}")
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise ValueError(f"train returned {count} losses that are not finite under seed {seed}")
    return values
