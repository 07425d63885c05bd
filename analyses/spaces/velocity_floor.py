"""Velocity loss of the best denoiser that knows only the Gaussian of the latents.

With z ~ N(m, C), noise ~ N(0, I), z_t = (1 - t) noise + t z and velocity z - noise, the best
denoiser's loss per element at time t is
`I(t) = mean_i lambda_i / ((1 - t)^2 + t^2 lambda_i)`, lambda the eigenvalues of C. A flow at
this floor has learnt covariance and nothing else. A flow that knew `mu` exactly would still not
know the posterior's noise: the same formula with lambda = sigma^2 gives the floor below which no
flow gets. Raw losses of two VAEs are not comparable; `band_fraction` between the floors is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.settings import check_at_least
from analyses.result import Result
from analyses.statistics.intervals import BootstrapConfig, interval_from_samples, resample_counts

# Independent blocks of rows that an interval resamples; more cost memory and change little.
_MAX_BLOCKS = 256

# Elements of the (times, variances) table held at once.
_BLOCK_ELEMENTS = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class VelocityFloorConfig:
    """Settings of the floor.

    Attributes:
        t_clamp: The loss's lower clamp of 1 - t when the network predicts z, 0 = none.
        max_interval_width: Above this width no interval is drawn (its cost grows as F^3).
        bootstrap: Resampling of the rows, in whole groups.
    """

    t_clamp: float = 0.0
    max_interval_width: int = 128
    bootstrap: BootstrapConfig = field(default_factory=lambda: BootstrapConfig(num_resamples=200))

    def __post_init__(self) -> None:
        if not 0.0 <= self.t_clamp < 1.0:
            raise ValueError(f"t_clamp must lie in [0, 1), got {self.t_clamp}")
        check_at_least(self, 0, "max_interval_width")


def floor_curve(variances: np.ndarray, t: np.ndarray, *, t_clamp: float = 0.0) -> np.ndarray:
    """I(t) averaged over all `variances`, (T,), in velocity variance per element.

    With `t_clamp`, the curve of a z-predicting flow whose loss is
    `|z_hat - z|^2 / max(1 - t, t_clamp)^2`.

    Args:
        variances: Any shape, >= 0: eigenvalues (F,) of a covariance, or sigma^2 (N, D).
        t: (T,) times in [0, 1], 0 = noise.
        t_clamp: Lower clamp of 1 - t.

    Raises:
        ValueError: If a variance is negative or not finite, or a time leaves [0, 1].

    Source: posterior variance of jointly Gaussian variables; the module's docstring derives it.
    """
    spread = np.asarray(variances, dtype=np.float64).ravel()
    times = np.asarray(t, dtype=np.float64).ravel()
    if spread.size == 0 or not np.all(np.isfinite(spread)) or spread.min() < 0:
        raise ValueError("variances must be finite, >= 0 and not empty")
    if times.size == 0 or not np.all((times >= 0) & (times <= 1)):
        raise ValueError("t must hold times in [0, 1], at least one")
    per_block = max(1, _BLOCK_ELEMENTS // spread.size)
    blocks = range(0, times.size, per_block)
    return np.concatenate([_curve(spread, times[i : i + per_block], t_clamp) for i in blocks])


def velocity_floor(variances: np.ndarray, t: np.ndarray, *, t_clamp: float = 0.0) -> float:
    """Mean of `floor_curve` over times `t` drawn from, or at quantile midpoints of, the training
    density: the expected loss per element.

    For whitened latents and uniform t it is pi / 2; for uniform t in general
    (pi / 2) mean sqrt(lambda).
    """
    return float(floor_curve(variances, t, t_clamp=t_clamp).mean())


def floor_given_mu(variances: np.ndarray, t: np.ndarray, *, t_clamp: float = 0.0) -> float:
    """Expected loss of a flow that knows `mu` of every position but not the sample's noise.

    Args:
        variances: (N, D) posterior sigma^2 *as the flow sees it*, that is sigma^2 divided by
            latent_std^2 of each channel; 0 where the target is the mean.
        t: (T,) times from the training density.
        t_clamp: Lower clamp of 1 - t.
    """
    return velocity_floor(variances, t, t_clamp=t_clamp)


def midpoint_quantiles(num_points: int) -> np.ndarray:
    """Levels (num_points,) at which to read a t-sampler's quantile function for quadrature."""
    if num_points < 1:
        raise ValueError(f"num_points must be >= 1, got {num_points}")
    return (np.arange(num_points) + 0.5) / num_points


def band_fraction(loss: float, *, floor_mu: float, floor_gaussian: float) -> float | None:
    """Where a loss lies between the floors: 0 = knows `mu`, 1 = knows only the covariance.

    Above 1 the flow has not even learnt the covariance. None where the band has no width.
    """
    width = floor_gaussian - floor_mu
    return float((loss - floor_mu) / width) if width > 1e-9 else None


def covariance_eigenvalues(features: np.ndarray) -> np.ndarray:
    """Eigenvalues (F,) of the rows' covariance, ascending, clipped at 0; float64."""
    wide = features.astype(np.float64)
    wide = wide - wide.mean(axis=0)
    return np.maximum(np.linalg.eigvalsh(wide.T @ wide / len(wide)), 0.0)


def gaussian_floor(
    features: np.ndarray,
    labels: np.ndarray | None = None,
    config: VelocityFloorConfig | None = None,
    *,
    t: np.ndarray,
    posterior_variances: np.ndarray | None = None,
) -> Result:
    """Gaussian floor of latents as the flow sees them, with an interval and the band's other end.

    Args:
        features: (N, F) latents: one row per token, or a whole text's positions side by side.
        labels: (N,) int text of each row; a resample then keeps texts whole.
        config: Clamp, interval.
        t: (T,) times from the training density; a thousand midpoints are exact to 1e-4.
        posterior_variances: (N, D) sigma^2 in the same units, for the floor given `mu`.

    Returns:
        Score in velocity variance per element. `chance` is the floor of white latents of unit
        variance at the same times: what a space without any linear structure has.

    Raises:
        ValueError: On NaN features (rows named), bad times or variances.
    """
    config = config or VelocityFloorConfig()
    rows = check_features(features)
    eigenvalues = covariance_eigenvalues(rows)
    curve = floor_curve(eigenvalues, t, t_clamp=config.t_clamp)
    low, high, why = _interval(rows, labels, config, t, float(curve.mean()))
    given_mu = (
        None
        if posterior_variances is None
        else floor_given_mu(posterior_variances, t, t_clamp=config.t_clamp)
    )
    return Result(
        name="floor.velocity",
        score=float(curve.mean()),
        chance=velocity_floor(np.ones(1), t, t_clamp=config.t_clamp),
        low=low,
        high=high,
        n=len(rows),
        detail={
            "given_mu": given_mu,
            "by_quarter": _by_quarter(np.asarray(t, dtype=np.float64), curve),
            "eigenvalues": eigenvalues[::-1],
            "interval": why,
        },
    )


def _curve(variances: np.ndarray, t: np.ndarray, t_clamp: float) -> np.ndarray:
    """I(t) for variances (V,) and times (T,), (T,)."""
    noise = 1.0 - t
    total = noise[:, None] ** 2 + t[:, None] ** 2 * variances
    # At t = 1 exactly the velocity is z - noise with z known: the noise's variance 1 stays,
    # also for a variance of 0, where the formula reads 0 / 0.
    value = np.divide(variances, total, out=np.ones_like(total), where=total > 0)
    shrink = np.square(noise / np.maximum(noise, t_clamp)) if t_clamp > 0 else 1.0
    return value.mean(axis=1) * shrink


def _by_quarter(t: np.ndarray, curve: np.ndarray) -> list[float | None]:
    """Mean floor in each quarter of [0, 1]; None where no time falls."""
    quarter = np.minimum((t.ravel() * 4).astype(np.int64), 3)
    return [float(curve[quarter == q].mean()) if (quarter == q).any() else None for q in range(4)]


def _interval(
    rows: np.ndarray,
    labels: np.ndarray | None,
    config: VelocityFloorConfig,
    t: np.ndarray,
    observed: float,
) -> tuple[float | None, float | None, str]:
    if rows.shape[1] > config.max_interval_width:
        return None, None, f"not drawn: more than {config.max_interval_width} columns"
    groups = np.arange(len(rows)) if labels is None else check_labels(labels, len(rows))
    _, inverse = np.unique(groups, return_inverse=True)
    blocks = inverse % _MAX_BLOCKS
    if blocks.max() == 0:
        return None, None, "not drawn: one group of rows"
    samples = [
        velocity_floor(values, t, t_clamp=config.t_clamp)
        for values in _resampled_eigenvalues(rows, blocks, config.bootstrap)
    ]
    interval = interval_from_samples(observed, np.array(samples), len(rows), config.bootstrap)
    return interval.low, interval.high, f"bootstrap over {blocks.max() + 1} blocks of rows"


def _resampled_eigenvalues(
    rows: np.ndarray, blocks: np.ndarray, config: BootstrapConfig
) -> list[np.ndarray]:
    """Covariance eigenvalues (F,) under each resample of the blocks, from block moments."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    num_blocks, width = blocks.max() + 1, rows.shape[1]
    sizes = np.bincount(blocks).astype(np.float64)
    first = np.stack([centred[blocks == b].sum(axis=0) for b in range(num_blocks)])
    second = np.stack([centred[blocks == b].T @ centred[blocks == b] for b in range(num_blocks)])
    rng = np.random.default_rng(config.seed)
    found: list[np.ndarray] = []
    for counts in resample_counts(num_blocks, config.num_resamples, rng):
        total = counts @ sizes
        mean = counts @ first / total[:, None]
        moment = (counts @ second.reshape(num_blocks, -1)).reshape(-1, width, width)
        covariance = moment / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
        found.extend(np.maximum(np.linalg.eigvalsh(covariance), 0.0))
    return found
