"""The shape of sampling trajectories: straight or winding, and how far from real latents.

A path has one point per step, from noise to the final latent. A trajectory may be that of a token
(F = D) or of a whole text (F = L D): say which. The chance level of the shape measures is that of a
scrambled path: each of its steps is the one that another trajectory took at that time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbors import NeighborConfig, nearest_in, nearest_neighbors
from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.intervals import BootstrapConfig, bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajectoryConfig:
    """Settings of the trajectory probes.

    Attributes:
        bootstrap: Interval, over trajectories.
        block_rows: Points searched at once for the nearest real latent.
        seed: Seed of the scrambled paths and of the Gaussian reference points.
    """

    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    block_rows: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "block_rows")
        check_at_least(self, 0, "seed")


def straightness(path: np.ndarray, config: TrajectoryConfig | None = None) -> Result:
    """Mean cosine of consecutive steps, `mean_i cos(d_i, d_{i+1})` with `d_i = z_{i+1} - z_i`.

    Steps of length zero have no direction and are left out. Invariant to rotation, translation
    and scale, and to the lengths of the steps.

    Args:
        path: (S + 1, N, F), S >= 2 steps of N trajectories.
        config: Interval, seed.

    Returns:
        Score in [-1, 1], 1 = a straight line; mean over trajectories.

    Source: arXiv 2606.03578, sampling-trajectory statistics.
    """
    return _shape_result("trajectory.straightness", _straightness, path, config, better="higher")


def efficiency(path: np.ndarray, config: TrajectoryConfig | None = None) -> Result:
    """Net over gross displacement, `|z_S - z_0| / sum_i |z_{i+1} - z_i|`.

    Invariant to rotation, translation and scale; for steps of random direction about 1 / sqrt(S).

    Args:
        path: (S + 1, N, F), S >= 2.
        config: Interval, seed.

    Returns:
        Score in [0, 1], 1 = a straight line walked one way; mean over trajectories.

    Source: Batschelet 1981 (straightness index of a path); arXiv 2606.03578.
    """
    return _shape_result("trajectory.efficiency", _efficiency, path, config, better="higher")


def segment_ratio(
    path: np.ndarray, config: TrajectoryConfig | None = None, times: np.ndarray | None = None
) -> Result:
    """Longest segment over the mean segment; with `times`, fastest over mean speed per step.

    1 = constant speed; S = everything happens in one step. Invariant to rotation, translation
    and scale.

    Args:
        path: (S + 1, N, F), S >= 2.
        config: Interval, seed.
        times: (S + 1,) rising flow times in [0, 1]; segments are then divided by their duration,
            so that an uneven grid does not count as uneven motion.

    Returns:
        Score in [1, S]; lower = steadier; mean over trajectories.

    Source: derived for this project.
    """
    grid = np.arange(len(path), dtype=np.float64) if times is None else np.asarray(times)
    durations = np.diff(grid)
    if grid.shape != (len(path),) or not (durations > 0.0).all():
        raise ValueError(f"times must rise and have shape ({len(path)},), got {grid.shape}")
    return _shape_result(
        "trajectory.segment_ratio",
        lambda steps: _segment_ratio(steps / durations[:, None, None]),
        path,
        config,
        better="lower",
    )


def off_manifold_distance(
    path: np.ndarray, reference: np.ndarray, config: TrajectoryConfig | None = None
) -> Result:
    """Distance of the final points to the nearest real latent, in units of real nearest neighbours.

    `mean_n min_m |z_n - r_m| / median_m min_{m' != m} |r_m - r_m'|`. 1 = as close as real latents
    are to each other; well below 1 = copies. Exact search, O(S N M F). Invariant to rotation,
    translation and scale of both together. Real latents should be held out from training.

    Args:
        path: (S + 1, N, F).
        reference: (M, F) real latents, M >= 3, of the same kind as the points.
        config: Interval, block size, seed.

    Returns:
        Score >= 0 at the last step, lower = on the manifold; chance is the same for Gaussian
        points with the mean and covariance of the real latents. `detail["curve"]` has one mean a
        step.
    """
    config = config or TrajectoryConfig()
    name = "trajectory.off_manifold"
    points, real = _checked_path(path, 0), check_features(reference, name="reference")
    if real.shape[1] != points.shape[2]:
        raise ValueError(f"reference must have {points.shape[2]} columns, got {real.shape[1]}")
    search = NeighborConfig(k=1, metric="euclidean", block_rows=config.block_rows)
    unit = float(np.median(nearest_neighbors(real, search).distances))
    if unit <= 0.0:
        return undefined(name, "more than half of the real latents are copies", points.shape[1])
    away = np.stack([nearest_in(at, real, search).distances[:, 0] for at in points]) / unit
    noise = nearest_in(_gaussian_like(real, points.shape[1], config.seed), real, search)
    interval = bootstrap(away[-1], config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=float(noise.distances.mean()) / unit,
        higher_is_better=False,
        detail={"curve": away.mean(axis=1), "unit": unit},
        per_item={"start": away[0], "end": away[-1]},
    )


def _shape_result(
    name: str,
    measure: Callable[[np.ndarray], np.ndarray],
    path: np.ndarray,
    config: TrajectoryConfig | None,
    *,
    better: str,
) -> Result:
    config = config or TrajectoryConfig()
    steps = np.diff(_checked_path(path, 2).astype(np.float64), axis=0)
    values = measure(steps)
    interval = bootstrap(values, config.bootstrap)
    if interval.mean is None:
        return undefined(name, "no trajectory moves", steps.shape[1])
    null = measure(_scrambled(steps, config.seed))
    return Result.of(
        name,
        interval,
        chance=float(np.nanmean(null)) if np.isfinite(null).any() else None,
        higher_is_better=better == "higher",
        detail={"num_steps": len(steps), "still": int(np.isnan(values).sum())},
        per_item={"value": values},
    )


def _checked_path(path: np.ndarray, min_steps: int) -> np.ndarray:
    points = np.asarray(path)
    if points.ndim != 3 or len(points) < min_steps + 1 or 0 in points.shape:
        raise ValueError(
            f"path must have shape (S + 1, N, F) with S >= {min_steps}, got {points.shape}"
        )
    # One row per trajectory, so that the row ids in an error are trajectory ids.
    by_trajectory = points.transpose(1, 0, 2).reshape(points.shape[1], -1)
    check_features(by_trajectory, name="path", min_rows=1)
    return points


def _scrambled(steps: np.ndarray, seed: int) -> np.ndarray:
    """Every step taken from a random trajectory at the same time: (S, N, F) -> (S, N, F)."""
    rng = np.random.default_rng(seed)
    return np.stack([step[rng.permutation(len(step))] for step in steps])


def _straightness(steps: np.ndarray) -> np.ndarray:
    """(N,), NaN where no two consecutive steps both move."""
    lengths = np.linalg.norm(steps, axis=2)
    products = lengths[:-1] * lengths[1:]
    cosines = np.einsum("snf,snf->sn", steps[:-1], steps[1:])
    moving = products > 0.0
    total = np.divide(cosines, products, out=np.zeros_like(cosines), where=moving).sum(axis=0)
    count = moving.sum(axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _efficiency(steps: np.ndarray) -> np.ndarray:
    gross = np.linalg.norm(steps, axis=2).sum(axis=0)
    net = np.linalg.norm(steps.sum(axis=0), axis=1)
    return np.divide(net, gross, out=np.full(gross.shape, np.nan), where=gross > 0.0)


def _segment_ratio(steps: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(steps, axis=2)
    mean = lengths.mean(axis=0)
    return np.divide(lengths.max(axis=0), mean, out=np.full(mean.shape, np.nan), where=mean > 0.0)


def _gaussian_like(real: np.ndarray, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(real, rowvar=False, dtype=np.float64)))
    scale = vectors * np.sqrt(np.maximum(values, 0.0))
    return real.mean(axis=0) + rng.standard_normal((n, len(values))) @ scale.T
