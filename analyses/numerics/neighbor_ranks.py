"""Ranks of given rows among each row's neighbours, nearest first, exactly and in blocks.

Rank 1 is the nearest other row. Only strictly nearer rows count, so copies share the best rank
that any of them could have.
"""

from __future__ import annotations

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbors import Metric


def neighbor_ranks(
    features: np.ndarray,
    indices: np.ndarray,
    *,
    metric: Metric = "cosine",
    block_rows: int = 512,
) -> np.ndarray:
    """Rank of row `indices[i, j]` among the others by distance from row i. O(N^2 (F + k log N)).

    Args:
        features: (N, F), N >= 3.
        indices: (N, k) int, rows to rank; never i itself.
        metric: `cosine` of centred rows, or `euclidean`.
        block_rows: Rows whose N distances are held at once.

    Returns:
        (N, k) int64 in [1, N - 1].
    """
    rows = check_features(features).astype(np.float64)
    rows -= rows.mean(axis=0)
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0.0, norms, 1.0)
    squared = np.square(rows).sum(axis=1)
    ranks = np.empty(indices.shape, dtype=np.int64)
    # Rounding of |a|^2 + |b|^2 - 2ab: distances closer than this are ties.
    tie = 1e-12 * float(squared.max())
    for start in range(0, len(rows), block_rows):
        stop = min(start + block_rows, len(rows))
        own = np.arange(stop - start)
        away = squared[start:stop, None] + squared - 2.0 * rows[start:stop] @ rows.T
        away[own, np.arange(start, stop)] = np.inf
        asked = np.take_along_axis(away, indices[start:stop], axis=1)
        away.sort(axis=1)
        for i in own:
            ranks[start + i] = 1 + np.searchsorted(away[i], asked[i] - tie, side="left")
    return ranks
