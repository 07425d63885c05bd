"""Principal components shared by several arrays, and the rotation that aligns two maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.numerics.features import check_features


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearBasis:
    """A centred orthonormal basis.

    Attributes:
        mean: (F,) float64.
        components: (C, F) float64, orthonormal rows, each with its largest entry positive.
        explained: (C,) float64, share of the total variance.
    """

    mean: np.ndarray
    components: np.ndarray
    explained: np.ndarray

    def project(self, features: np.ndarray) -> np.ndarray:
        """Coordinates (..., C) float32 of points (..., F), such as a path (S, N, F)."""
        points = np.asarray(features)
        if points.shape[-1] != len(self.mean):
            raise ValueError(f"features must have {len(self.mean)} columns, got {points.shape[-1]}")
        return ((points - self.mean) @ self.components.T).astype(np.float32)


def fit_linear_basis(blocks: Sequence[np.ndarray], num_components: int = 2) -> LinearBasis:
    """Principal components of all blocks together, every block weighing the same.

    Latents and trajectory points of one space are drawn in one such basis: it is linear, so it
    cannot throw noise onto clusters as a fitted UMAP does.

    Args:
        blocks: Arrays (N_b, F) of one space; blocks of different length weigh alike.
        num_components: Axes kept, at most F.

    Raises:
        ValueError: On no block, different widths, NaN or infinity, or all points equal.
    """
    if not blocks:
        raise ValueError("blocks must not be empty")
    rows = [check_features(block, min_rows=1).astype(np.float64) for block in blocks]
    widths = {block.shape[1] for block in rows}
    if len(widths) > 1:
        raise ValueError(f"blocks must have one width, got {sorted(widths)}")
    if not 1 <= num_components <= min(widths):
        raise ValueError(f"num_components must lie in [1, {min(widths)}], got {num_components}")
    mean = np.mean([block.mean(axis=0) for block in rows], axis=0)
    moments = [(block - mean).T @ (block - mean) / len(block) for block in rows]
    values, vectors = np.linalg.eigh(np.mean(moments, axis=0))
    total = float(np.maximum(values, 0.0).sum())
    if total <= 0.0:
        raise ValueError("features must differ: all points are equal")
    components = vectors[:, ::-1][:, :num_components].T
    signs = np.sign(components[np.arange(num_components), np.abs(components).argmax(axis=1)])
    return LinearBasis(
        mean=mean,
        components=components * signs[:, None],
        explained=np.maximum(values[::-1][:num_components], 0.0) / total,
    )


def procrustes_aligned(coords: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Shift, rotate, reflect and scale `coords` (N, C) to lie closest to `reference` (N, C).

    Least squares over similarity transforms: shape is kept, so neighbours within the map do not
    change.

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    from scipy.linalg import orthogonal_procrustes

    moved = coords.astype(np.float64) - coords.mean(axis=0, dtype=np.float64)
    centre = reference.mean(axis=0, dtype=np.float64)
    rotation, overlap = orthogonal_procrustes(moved, reference.astype(np.float64) - centre)
    energy = float(np.square(moved).sum())
    scale = overlap / energy if energy > 0.0 else 1.0
    return (scale * moved @ rotation + centre).astype(np.float32)
