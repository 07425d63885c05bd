"""Isotropy and uniformity: does the space use its directions, or do a few carry everything?

Each number is a mean over all pairs. It is computed from sums, never from a sample of pairs; only
uniformity needs the pairs themselves, which it visits in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.settings import check_at_least, check_positive
from analyses.result import Result, undefined
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class IsotropyConfig:
    """Settings of the isotropy probes.

    Attributes:
        top: Number of largest dimensions whose energy share is reported.
        temperature: t in the uniformity potential exp(-t |u - v|^2).
        max_rows: Rows of the uniformity sum; more are thinned to a seeded sample.
        block_rows: Rows whose distances are held at once.
        half_samples: Interval.
        seed: Seed of the sample and of the reference cloud.
    """

    top: int = 4
    temperature: float = 2.0
    max_rows: int = 4000
    block_rows: int = 1024
    half_samples: HalfSampleConfig = field(default_factory=HalfSampleConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "top", "block_rows")
        check_at_least(self, 3, "max_rows")
        check_at_least(self, 0, "seed")
        check_positive(self, "temperature")


def isotropy(
    features: np.ndarray, labels: np.ndarray | None = None, config: IsotropyConfig | None = None
) -> Result:
    """Mean cosine of all pairs of rows *before* centring, and energy shares of the top directions.

    With unit rows u: `(|sum u|^2 - N) / (N (N - 1))`, exact. `detail` adds the same after
    centring, and two energy shares: `top_dimension_energy`, of the `top` largest raw columns
    (mean square), and `top_component_energy`, of the `top` largest principal components of the
    centred rows; `*_flat` is what an even spread would give (top / F). Invariant to row order
    and scale; the cosine and the component share also to rotation.

    Args:
        features: (N, F), N >= 3.
        labels: Not used; part of the probes' interface.
        config: `top`, half samples.

    Returns:
        Score in [-1 / (N - 1), 1]; chance 0. Lower is more isotropic.

    Source: Ethayarajh 2019, arXiv 1909.00512 (uncentred mean cosine); Timkey and
    van Schijndel 2021, arXiv 2109.04404 (rogue dimensions).
    """
    config = config or IsotropyConfig()
    rows = check_features(features).astype(np.float64)
    name = "isotropy.mean_cosine"
    score = _mean_cosine(rows)
    if score is None:
        return undefined(name, "fewer than two rows differ from zero", len(rows))
    interval = half_sample_interval(
        lambda kept: _mean_cosine(rows[kept]), score, len(rows), config.half_samples
    )
    top, width = min(config.top, rows.shape[1]), rows.shape[1]
    return Result.of(
        name,
        interval,
        chance=0.0,
        higher_is_better=False,
        detail={
            "centred_mean_cosine": _mean_cosine(rows - rows.mean(axis=0)),
            "top": top,
            "top_dimension_energy": _top_share(np.square(rows).mean(axis=0), top),
            "top_component_energy": _top_share(_variances(rows), top),
            "top_flat": top / width,
        },
    )


def uniformity(
    features: np.ndarray, labels: np.ndarray | None = None, config: IsotropyConfig | None = None
) -> Result:
    """Uniformity on the sphere of the centred unit rows, `ln mean_{i != j} exp(-t |u_i - u_j|^2)`.

    Lower is more uniform. O(M^2 F) for M = min(N, max_rows). Invariant to rotation,
    translation and scale.

    Args:
        features: (N, F), N >= 3.
        labels: Not used; part of the probes' interface.
        config: Temperature, row limit, blocks.

    Returns:
        Score <= 0; chance is the value of M points drawn uniformly on the sphere.

    Source: Wang and Isola 2020, arXiv 2005.10242 (uniformity loss); rows are centred first here.
    """
    config = config or IsotropyConfig()
    rows = check_features(features).astype(np.float64)
    name = "isotropy.uniformity"
    rng = np.random.default_rng(config.seed)
    if len(rows) > config.max_rows:
        rows = rows[np.sort(rng.choice(len(rows), size=config.max_rows, replace=False))]
    units = _unit(rows - rows.mean(axis=0))
    if len(units) < 3:
        return undefined(name, "fewer than three rows differ from their mean", len(features))
    score = _potential(units, config)
    reference = _unit(rng.standard_normal(units.shape))
    interval = half_sample_interval(
        lambda kept: _potential(units[kept], config) if len(kept) > 1 else None,
        score,
        len(units),
        config.half_samples,
    )
    return Result.of(
        name,
        interval,
        chance=_potential(reference, config),
        higher_is_better=False,
        detail={"temperature": config.temperature},
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    """Unit rows; rows of length zero have no direction and are left out."""
    norms = np.linalg.norm(rows, axis=1)
    kept = norms > 1e-12 * max(float(norms.max()), 1e-300)
    return rows[kept] / norms[kept, None]


def _mean_cosine(rows: np.ndarray) -> float | None:
    units = _unit(rows)
    n = len(units)
    if n < 2:
        return None
    return float((np.square(units.sum(axis=0)).sum() - n) / (n * (n - 1)))


def _potential(units: np.ndarray, config: IsotropyConfig) -> float:
    n, total = len(units), 0.0
    for start in range(0, n, config.block_rows):
        block = units[start : start + config.block_rows]
        squared = np.maximum(2.0 - 2.0 * block @ units.T, 0.0)
        total += float(np.exp(-config.temperature * squared).sum())
    # Every point's pair with itself adds exactly 1.
    return float(np.log(max(total - n, 1e-300) / (n * (n - 1))))


def _variances(rows: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.eigvalsh(np.atleast_2d(np.cov(rows, rowvar=False))), 0.0)


def _top_share(energies: np.ndarray, top: int) -> float | None:
    total = float(energies.sum())
    return float(np.sort(energies)[-top:].sum() / total) if total > 0.0 else None
