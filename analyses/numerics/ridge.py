"""Cross-fitted ridge regression: one eigendecomposition per fold serves every penalty and target.

Held-out residuals only: the fit never sees the rows it is judged on, and rows of one group
(the tokens of a text) always share a fold. The penalty is chosen by generalised cross-validation
inside the training rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analyses.numerics.settings import check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class RidgeConfig:
    """Settings of the cross-fitted ridge.

    Attributes:
        penalties: Ridge penalties tried, per training row, for standardised inputs.
        num_folds: Folds; no more than there are groups.
        seed: Seed of the assignment of groups to folds.
    """

    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
    num_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.penalties or not min(self.penalties) > 0.0:
            raise ValueError(f"penalties must be > 0 and not empty, got {self.penalties}")
        check_at_least(self, 2, "num_folds")
        check_at_least(self, 0, "seed")


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossFit:
    """Held-out errors of a cross-fitted ridge.

    Attributes:
        residuals: (N, G) float64, target minus prediction by a fit that did not see the row.
        baseline: (N, G) float64, target minus the mean of the training rows.
        penalties: (folds,) penalty chosen in each fold, per training row.
    """

    residuals: np.ndarray
    baseline: np.ndarray
    penalties: np.ndarray


class CrossFittedRidge:
    """Ridge from inputs (N, F), factorised once per fold and then fitted to any target (N, G)."""

    def __init__(
        self, inputs: np.ndarray, config: RidgeConfig, groups: np.ndarray | None = None
    ) -> None:
        self._config = config
        self._inputs = inputs.astype(np.float64)
        self._folds = list(_folds(len(inputs), groups, config))
        self._factors = [_Factor.of(self._inputs[train]) for train, _ in self._folds]

    def fit(self, target: np.ndarray) -> CrossFit:
        """Held-out residuals of `target` (N, G)."""
        wide = target.astype(np.float64)
        residuals, baseline, chosen = np.empty_like(wide), np.empty_like(wide), []
        for (train, held), factor in zip(self._folds, self._factors, strict=True):
            centre = wide[train].mean(axis=0)
            baseline[held] = wide[held] - centre
            weights, penalty = factor.solve(
                self._inputs[train], wide[train] - centre, self._config.penalties
            )
            residuals[held] = baseline[held] - factor.scaled(self._inputs[held]) @ weights
            chosen.append(penalty)
        return CrossFit(residuals=residuals, baseline=baseline, penalties=np.array(chosen))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Factor:
    """Standardisation of the inputs and the eigenvectors of their Gram matrix."""

    mean: np.ndarray
    std: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray) -> _Factor:
        mean, std = inputs.mean(axis=0), inputs.std(axis=0)
        std = np.where(std > 1e-12 * max(float(std.max()), 1e-300), std, np.inf)
        scaled = (inputs - mean) / std
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        return cls(mean=mean, std=std, values=np.maximum(values, 0.0), vectors=vectors)

    def scaled(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.mean) / self.std

    def solve(
        self, inputs: np.ndarray, target: np.ndarray, penalties: tuple[float, ...]
    ) -> tuple[np.ndarray, float]:
        """Weights (F, G) at the penalty of least generalised cross-validation error."""
        n = len(inputs)
        projected = self.vectors.T @ (self.scaled(inputs).T @ target)
        energy, total = np.square(projected).sum(axis=1), float(np.square(target).sum())
        errors = []
        for penalty in penalties:
            shrunk = self.values + penalty * n
            residual = total - float(energy @ (2.0 / shrunk - self.values / shrunk**2))
            # One degree of freedom goes to the mean.
            freedom = n - 1.0 - float((self.values / shrunk).sum())
            errors.append(max(residual, 0.0) / max(freedom, 1e-9) ** 2)
        best = penalties[int(np.argmin(errors))]
        weights = self.vectors @ (projected / (self.values + best * n)[:, None])
        return weights, best


def _folds(
    n: int, groups: np.ndarray | None, config: RidgeConfig
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    names, inverse = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"groups must hold at least 2 distinct values, got {len(names)}")
    num_folds = min(config.num_folds, len(names))
    place = np.random.default_rng(config.seed).permutation(len(names)) % num_folds
    for fold in range(num_folds):
        held = place[inverse] == fold
        yield np.flatnonzero(~held), np.flatnonzero(held)
