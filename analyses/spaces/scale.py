"""How large the latents are against their posterior noise, and how many channels live.

Noise is a confound: two KL weights can give equal reconstruction and different geometry. That is
why log-SNR is shown next to every reconstruction figure. Give `mu` and `logvar` as the encoder
makes them, before the flow's per-channel normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.settings import check_positive
from analyses.result import Result, undefined
from analyses.spaces.velocity_floor import covariance_eigenvalues
from analyses.statistics.intervals import (
    BootstrapConfig,
    group_sums,
    grouped_bootstrap,
    interval_from_samples,
    ratio_samples,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleConfig:
    """Settings of the scale probe.

    Attributes:
        active_variance: Variance of `mu` above which a channel counts as active.
        bootstrap: Resampling of rows, or of whole texts where labels are given.
    """

    active_variance: float = 0.01
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_positive(self, "active_variance")


def scale(
    features: np.ndarray,
    labels: np.ndarray | None = None,
    config: ScaleConfig | None = None,
    *,
    logvar: np.ndarray,
) -> Result:
    """Log-SNR = ln(E mu^2 / E sigma^2) in nats, each channel of `mu` centred, and related numbers.

    `detail`: `kl` (nats per token, with interval), `noise_fraction` = E sigma^2 / (Var mu +
    E sigma^2), `active_channels`, `channel_std` of `mu`, `effective_rank` =
    (sum lambda)^2 / sum lambda^2 and `condition_number` of the covariance of `mu`.

    Args:
        features: (N, D) posterior means of real tokens.
        labels: (N,) int text of each row; a resample then keeps texts whole.
        config: Threshold and resampling.
        logvar: (N, D) ln sigma^2.

    Returns:
        Score in nats. Undefined where `mu` or sigma has no variance at all.

    Raises:
        ValueError: If shapes differ, a value is not finite, or exp(logvar) overflows.

    Source: active channels as in Burda et al. 2016, arXiv 1509.00519, section 5.2.
    """
    config = config or ScaleConfig()
    mu = check_features(features).astype(np.float64)
    log_variance = check_features(logvar, name="logvar").astype(np.float64)
    if log_variance.shape != mu.shape:
        raise ValueError(f"logvar must have shape {mu.shape}, got {log_variance.shape}")
    if log_variance.max() > 80:
        raise ValueError(f"logvar must be <= 80, got {log_variance.max():.1f}")
    variance = np.exp(log_variance)
    groups = np.arange(len(mu)) if labels is None else check_labels(labels, len(mu))
    signal = np.square(mu - mu.mean(axis=0)).sum(axis=1)
    noise = variance.sum(axis=1)
    detail = _detail(mu, log_variance, variance, groups, config)
    if signal.sum() <= 0 or noise.sum() <= 0:
        which = "mu" if signal.sum() <= 0 else "sigma"
        return undefined("scale.log_snr", f"{which} has no variance", len(mu), detail=detail)
    score = float(np.log(signal.sum() / noise.sum()))
    signal_sums, _ = group_sums(signal, groups)
    noise_sums, _ = group_sums(noise, groups)
    # A resample that draws only constant texts would have ln 0; it has no weight in an interval.
    ratio = ratio_samples(signal_sums, noise_sums, config.bootstrap)
    samples = np.log(ratio[ratio > 0])
    interval = interval_from_samples(score, samples, len(mu), config.bootstrap)
    return Result.of(
        "scale.log_snr",
        interval,
        detail=detail,
    )


def _detail(
    mu: np.ndarray,
    log_variance: np.ndarray,
    variance: np.ndarray,
    groups: np.ndarray,
    config: ScaleConfig,
) -> dict[str, object]:
    kl = 0.5 * (np.square(mu) + variance - 1.0 - log_variance)
    spread, noise = mu.var(axis=0), variance.mean(axis=0)
    eigenvalues = covariance_eigenvalues(mu)
    total, largest = float(eigenvalues.sum()), float(eigenvalues[-1])
    return {
        "kl": grouped_bootstrap(kl.sum(axis=1), groups, config.bootstrap),
        "kl_by_channel": kl.mean(axis=0),
        "noise_fraction": float(noise.sum() / max(spread.sum() + noise.sum(), 1e-300)),
        "active_channels": int((spread > config.active_variance).sum()),
        "num_channels": mu.shape[1],
        "channel_std": np.sqrt(spread),
        "effective_rank": total**2 / float(np.square(eigenvalues).sum()) if total > 0 else 0.0,
        "condition_number": largest / float(eigenvalues[0]) if eigenvalues[0] > 0 else None,
    }
