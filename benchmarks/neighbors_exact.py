"""Exact nearest neighbours: ours, reranked in float64, against faiss flat and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from benchmarks.measuring import Row, Setting, compare

WIDTH, K = 64, 10
FULL_ROWS, QUICK_ROWS = 20_000, 3_000
CHECKED_ROWS = 2_000


def exact_neighbors(setting: Setting) -> Iterator[Row]:
    """The ten nearest neighbours of every row."""
    import faiss
    from sklearn.neighbors import NearestNeighbors

    num_rows = QUICK_ROWS if setting.quick else FULL_ROWS
    features = np.random.default_rng(0).standard_normal((num_rows, WIDTH)).astype(np.float32)
    config = NeighborConfig(k=K, metric="euclidean")
    recall = recall_at(nearest_neighbors(features, config).indices, features)

    def flat() -> None:
        index = faiss.IndexFlatL2(WIDTH)
        index.add(features)
        index.search(features, K + 1)

    def brute() -> None:
        NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(features).kneighbors(features)

    for peer, work, goal in (("faiss flat", flat, 1.0), ("scikit-learn brute", brute, 2.0)):
        yield Row(
            stage=f"exact kNN, {num_rows} x {WIDTH}",
            peer=peer,
            ratio=compare(
                lambda: nearest_neighbors(features, config), work, repeats=setting.repeats(7)
            ),
            goal=goal,
            gate=f"recall against float64 {recall:.6g} = 1",
            gate_passed=recall == 1.0,
        )


def recall_at(found: np.ndarray, features: np.ndarray) -> float:
    """Share of the true k nearest (by float64 differences) that are in `found` (N, k)."""
    wide = features.astype(np.float64)
    squares = np.square(wide).sum(axis=1)
    hits, checked = 0, min(CHECKED_ROWS, len(wide))
    for row in range(checked):
        distances = squares - 2.0 * wide @ wide[row]
        distances[row] = np.inf
        nearest = np.argpartition(distances, K)[:K]
        hits += len(np.intersect1d(nearest, found[row]))
    return hits / (checked * K)
