"""Does the decoder read the tokens back? This is the entry test, not the score.

Twins that pass it equally well may write very differently; the other probes look for the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.result import Result, undefined
from analyses.statistics.intervals import (
    BootstrapConfig,
    Interval,
    bootstrap,
    interval_from_samples,
    ratio_samples,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionConfig:
    """Resampling of texts."""

    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)


def reconstruction(
    features: np.ndarray,
    labels: np.ndarray,
    config: ReconstructionConfig | None = None,
    *,
    mask: np.ndarray,
    sampled: np.ndarray | None = None,
    nll: np.ndarray | None = None,
    sampled_nll: np.ndarray | None = None,
) -> Result:
    """Share of real tokens that the decoder reads back from `mu`, in [0, 1].

    `detail`: the same from sampled z, exact-match texts for both, and nats per token where given.
    Tokens are pooled; intervals resample texts. Texts without a real token are left out.

    Args:
        features: (N, L) int, token ids that the decoder reads from `mu`.
        labels: (N, L) int, the true token ids.
        config: Resampling.
        mask: (N, L) bool, True = a token that counts.
        sampled: (N, L) int, token ids read from a posterior sample.
        nll: (N, L), nats of the true token from `mu`.
        sampled_nll: (N, L), nats of the true token from a posterior sample.

    Returns:
        Score with `chance` = share of the commonest token. `per_item` has one row per text.

    Raises:
        ValueError: If shapes differ or a nat that counts is not finite.
    """
    config = config or ReconstructionConfig()
    true, real = np.asarray(labels), np.asarray(mask, dtype=bool)
    if true.ndim != 2:
        raise ValueError(f"labels must have shape (N, L), got {true.shape}")
    tables = {
        "features": features, "mask": real, "sampled": sampled,
        "nll": nll, "sampled_nll": sampled_nll,
    }  # fmt: skip
    for name, table in tables.items():
        if table is not None and np.shape(table) != true.shape:
            raise ValueError(f"{name} must have shape {true.shape}, got {np.shape(table)}")
    lengths = real.sum(axis=1).astype(np.float64)
    if not lengths.any():
        return undefined("reconstruction.token_accuracy", "no real token", 0)
    hits = {"mu": np.asarray(features) == true}
    if sampled is not None:
        hits["z"] = np.asarray(sampled) == true
    accuracy = {k: _pooled(hit & real, lengths, config.bootstrap) for k, hit in hits.items()}
    exact = {k: np.where(lengths > 0, (hit | ~real).all(axis=1), np.nan) for k, hit in hits.items()}
    nats = {"mu": nll, "z": sampled_nll}
    return Result(
        name="reconstruction.token_accuracy",
        score=accuracy["mu"].mean,
        chance=float(np.unique(true[real], return_counts=True)[1].max() / lengths.sum()),
        low=accuracy["mu"].low,
        high=accuracy["mu"].high,
        n=int(lengths.sum()),
        higher_is_better=True,
        detail={
            "num_texts": int((lengths > 0).sum()),
            "token_accuracy": accuracy,
            "exact_match": {k: bootstrap(v, config.bootstrap) for k, v in exact.items()},
            "nats_per_token": {
                k: _pooled(_counted_nats(v, real, k), lengths, config.bootstrap)
                for k, v in nats.items()
                if v is not None
            },
        },
        per_item={f"token_accuracy_{k}": _per_text(hit & real, lengths) for k, hit in hits.items()},
    )


def _counted_nats(nll: np.ndarray, real: np.ndarray, name: str) -> np.ndarray:
    counted = np.where(real, np.asarray(nll, dtype=np.float64), 0.0)
    bad = np.flatnonzero(~np.isfinite(counted).all(axis=1))
    if bad.size:
        raise ValueError(f"nats from {name} are not finite in {bad.size} text(s): {bad[:5]}")
    return counted


def _pooled(values: np.ndarray, lengths: np.ndarray, config: BootstrapConfig) -> Interval:
    """Mean over real tokens of values (N, L) that are 0 elsewhere; texts are resampled."""
    kept = lengths > 0
    sums = values.sum(axis=1, dtype=np.float64)[kept]
    samples = ratio_samples(sums, lengths[kept], config)
    return interval_from_samples(sums.sum() / lengths.sum(), samples, int(lengths.sum()), config)


def _per_text(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    sums = values.sum(axis=1, dtype=np.float64)
    return np.divide(sums, lengths, out=np.full(len(sums), np.nan), where=lengths > 0)
