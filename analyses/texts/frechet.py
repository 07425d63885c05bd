"""Frechet distance between two clouds, each taken as a Gaussian."""

from __future__ import annotations

import numpy as np

from analyses.numerics.features import check_features


def frechet_distance(features: np.ndarray, other: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the clouds' means and covariances.

    `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2`, the last trace taken as the sum
    of singular values of `S1^1/2 S2^1/2`, which needs no root of a non-symmetric matrix. Biased
    upward by about 1 / N: compare equal N only. O(N E^2 + E^3).

    Args:
        features: (N, E), N >= 3.
        other: (M, E), M >= 3; rows need not pair.

    Returns:
        Distance >= 0 in squared feature units.

    Source: Dowson and Landau 1982, "The Frechet distance between multivariate normal
    distributions"; Heusel et al. 2017, arXiv 1706.08500.
    """
    x, y = (check_features(rows).astype(np.float64) for rows in (features, other))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"clouds must have equal widths, got {x.shape[1]} and {y.shape[1]}")
    first, second = _root_covariance(x), _root_covariance(y)
    shared = np.linalg.svd(first @ second, compute_uv=False).sum()
    spread = np.square(first).sum() + np.square(second).sum() - 2.0 * shared
    return float(max(np.square(x.mean(axis=0) - y.mean(axis=0)).sum() + spread, 0.0))


def _root_covariance(rows: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
