"""VIV: how much velocity variance is left when the class, or the context, is known.

A flow that knows the class c still cannot tell which latent of c it is heading for. If latents
are Gaussian within a class, the loss of the best denoiser that knows c, averaged over uniform t,
has a closed form in the within-class covariance. Text has no class label for what a
continuation is; its analogue is the residual of the target after a regression on the context.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.ridge import CrossFittedRidge, RidgeConfig
from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class VelocityInformationConfig:
    """Settings of the VIV probes.

    Attributes:
        min_class_size: Rows a class needs; None means twice the width, below which the square
            roots of sample eigenvalues are far too small.
        num_permutations: Label (or context) permutations behind the chance level.
        half_samples: Interval.
        ridge: Regression on the context.
        seed: Seed of the permutations.
    """

    min_class_size: int | None = None
    num_permutations: int = 10
    half_samples: HalfSampleConfig = field(default_factory=HalfSampleConfig)
    ridge: RidgeConfig = field(default_factory=RidgeConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_class_size is not None:
            check_at_least(self, 2, "min_class_size")
        check_at_least(self, 1, "num_permutations")
        check_at_least(self, 0, "seed")


def velocity_information(
    features: np.ndarray,
    labels: np.ndarray,
    config: VelocityInformationConfig | None = None,
    groups: np.ndarray | None = None,
) -> Result:
    """Velocity irreducible variance (VIV) given a class label, per latent dimension.

    Every column of the latents is scaled to mean 0 and standard deviation 1. With lambda_i the F
    eigenvalues of the covariance within class c:
    `viv_c = (pi / 2) mean_i sqrt(lambda_i)`, `rho_c = mean_i lambda_i` (within over total
    variance), both averaged over classes by their number of rows, and
    `phi = viv / ((pi / 2) sqrt(rho))`, the shape of the spectrum: 1 = even, lower = concentrated
    (or class variances that differ). viv falls with the width of the space; rho and phi are free
    of it. O(N F^2). Invariant to row order, label names, and shift and scale of each column.

    Args:
        features: (N, F) latents as the flow sees them.
        labels: (N,) class of every row (token id, part of speech, topic); -1 = missing, left out.
        config: Smallest class, permutations, half samples.
        groups: (N,) int, text of every row; half samples then keep texts whole.

    Returns:
        Score in velocity variance per dimension and unit t squared, lower = the class says
        more; chance is the score with shuffled labels, which carries the same small-sample bias.
        `detail["viv_sum"]` is F times the score; `detail["coverage"]` the share of rows used.

    Source: "Diffusing in the right space", arXiv 2606.03578. Deviations: the full covariance in
    place of a Kronecker factorisation, classes weighted by size in place of evenly, ddof 1.
    """
    config = config or VelocityInformationConfig()
    name = "velocity_information"
    rows = check_features(features)
    classes = check_labels(labels, len(rows))
    known = classes >= 0
    scaled, classes = _standardise(rows[known]), classes[known]
    minimum = config.min_class_size or 2 * rows.shape[1]
    spectra = _ClassSpectra.of(scaled, classes, minimum)
    if spectra is None:
        return undefined(name, f"no class has {minimum} rows or more", len(classes))
    if len(np.unique(classes)) == 1:
        return undefined(name, "all rows are of one class, so the label tells nothing", len(rows))
    interval = half_sample_interval(
        lambda kept: _viv_or_none(scaled[kept], classes[kept], max(2, minimum // 2)),
        spectra.viv,
        len(scaled),
        config.half_samples,
        None if groups is None else check_labels(groups, len(rows), name="groups")[known],
    )
    rng = np.random.default_rng(config.seed)
    null = np.array(
        [
            _viv_or_none(scaled, rng.permutation(classes), minimum)
            for _ in range(config.num_permutations)
        ],
        dtype=np.float64,
    )
    return _result(name, spectra, interval.low, interval.high, null, len(scaled))


def context_velocity_information(
    features: np.ndarray,
    context: np.ndarray,
    config: VelocityInformationConfig | None = None,
    groups: np.ndarray | None = None,
) -> Result:
    """VIV given the context: the same formula on the covariance of held-out ridge residuals.

    `lambda_i` are the eigenvalues of the covariance of target minus its cross-fitted ridge
    prediction from the context, after scaling every column of the target to standard deviation 1.
    rho is then 1 - R^2 averaged over columns. A linear map misses what the context says
    nonlinearly, so the score is an upper bound on what the context leaves open.

    Args:
        features: (N, F) target latents as the flow sees them.
        context: (N, C) context features of every target row.
        config: Ridge, permutations, half samples.
        groups: (N,) int, text of every row; folds and half samples keep texts whole.

    Returns:
        Score in velocity variance per dimension; chance is the score with permuted context rows,
        about the VIV of the unconditional covariance. The interval is given the regression.

    Source: the text analogue of arXiv 2606.03578, derived for this project.
    """
    config = config or VelocityInformationConfig()
    name = "velocity_information.context"
    rows, given = check_features(features), check_features(context, name="context")
    if len(rows) != len(given):
        raise ValueError(f"context must pair with features, got {len(given)} and {len(rows)} rows")
    if len(rows) <= rows.shape[1]:
        return undefined(name, f"needs more rows than its {rows.shape[1]} columns", len(rows))
    scaled = _standardise(rows)
    ridge = CrossFittedRidge(given, config.ridge, groups)
    residuals = ridge.fit(scaled).residuals
    one_class = np.zeros(len(rows), dtype=np.int64)
    spectra = _ClassSpectra.of(residuals, one_class, 2)
    assert spectra is not None
    interval = half_sample_interval(
        lambda kept: _viv_or_none(residuals[kept], one_class[kept], 2),
        spectra.viv,
        len(rows),
        config.half_samples,
        groups,
    )
    rng = np.random.default_rng(config.seed)
    null = np.empty(config.num_permutations)
    for index in range(config.num_permutations):
        order = rng.permutation(len(rows))
        shuffled = ridge.fit(scaled[order]).residuals
        null[index] = _viv_or_none(shuffled, one_class, 2)
    return _result(name, spectra, interval.low, interval.high, null, len(rows))


@dataclass(frozen=True, kw_only=True, slots=True)
class _ClassSpectra:
    """Size-weighted means over classes, and the same for each class (C,)."""

    viv: float
    rho: float
    width: int
    used: int
    labels: np.ndarray
    class_viv: np.ndarray
    class_rho: np.ndarray
    class_sizes: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, classes: np.ndarray, minimum: int) -> _ClassSpectra | None:
        order = np.argsort(classes, kind="stable")
        names, starts, sizes = np.unique(classes[order], return_index=True, return_counts=True)
        kept = np.flatnonzero(sizes >= minimum)
        if kept.size == 0:
            return None
        viv, rho = np.empty(kept.size), np.empty(kept.size)
        for place, index in enumerate(kept):
            members = rows[order[starts[index] : starts[index] + sizes[index]]]
            values = _eigenvalues(members)
            viv[place], rho[place] = math.pi / 2.0 * np.sqrt(values).mean(), values.mean()
        weights = sizes[kept]
        return cls(
            viv=float(np.average(viv, weights=weights)),
            rho=float(np.average(rho, weights=weights)),
            width=rows.shape[1],
            used=int(weights.sum()),
            labels=names[kept],
            class_viv=viv,
            class_rho=rho,
            class_sizes=weights,
        )


def _standardise(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    wide -= wide.mean(axis=0) if len(wide) else 0.0
    std = wide.std(axis=0) if len(wide) else np.ones(wide.shape[1])
    # A constant column stays constant: it adds an eigenvalue of 0.
    return wide / np.where(std > 1e-12 * max(float(std.max()), 1e-300), std, np.inf)


def _eigenvalues(members: np.ndarray) -> np.ndarray:
    covariance = np.atleast_2d(np.cov(members, rowvar=False))
    return np.maximum(np.linalg.eigvalsh(covariance), 0.0)


def _viv_or_none(rows: np.ndarray, classes: np.ndarray, minimum: int) -> float | None:
    spectra = _ClassSpectra.of(rows, classes, minimum)
    return None if spectra is None else spectra.viv


def _result(
    name: str,
    spectra: _ClassSpectra,
    low: float | None,
    high: float | None,
    null: np.ndarray,
    n: int,
) -> Result:
    chance = float(null.mean())
    spread = math.pi / 2.0 * math.sqrt(spectra.rho)
    return Result(
        name=name,
        score=spectra.viv,
        chance=chance,
        low=low,
        high=high,
        n=spectra.used,
        higher_is_better=False,
        detail={
            "viv_sum": spectra.viv * spectra.width,
            "rho": spectra.rho,
            "phi": spectra.viv / spread if spread > 0.0 else None,
            "share_of_chance": spectra.viv / chance if chance > 0.0 else None,
            "coverage": spectra.used / n,
            "null_low": float(null.min()),
            "classes": len(spectra.labels),
        },
        per_item={
            "label": spectra.labels,
            "size": spectra.class_sizes,
            "viv": spectra.class_viv,
            "rho": spectra.class_rho,
        },
    )
