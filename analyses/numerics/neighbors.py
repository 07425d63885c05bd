"""Exact nearest neighbours: faiss flat search, centred, blocked, self masked by index.

faiss finds candidates in float32. Their distances are computed again in float64 and sorted by
(distance, index), so that rounding at the k-th place cannot change the answer and ties have a
fixed order. Nothing here is approximate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.numerics.features import check_features, check_labels
from analyses.numerics.settings import check_at_least, check_choice

Metric = Literal["cosine", "euclidean"]

# Candidates beyond k that are ranked again in float64.
_SPARE = 16
# Differences held at once while ranking: 800 kB.
_CACHED_VALUES = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighborConfig:
    """Search settings.

    Attributes:
        k: Neighbours per row, clipped to the n - 1 that exist.
        metric: `cosine` (of centred rows, distance 1 - cos) or `euclidean`.
        block_rows: Query rows searched at once; halved when memory runs out.
    """

    k: int = 10
    metric: Metric = "cosine"
    block_rows: int = 4096

    def __post_init__(self) -> None:
        check_at_least(self, 1, "k", "block_rows")
        check_choice(self, "metric", Metric)


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbors:
    """Neighbour lists, nearest first.

    Attributes:
        indices: (N, k) int64 row numbers; never the row itself, never negative.
        distances: (N, k) float64, cosine or euclidean distance.
        k: Neighbours per row, after clipping.
        requested_k: Neighbours asked for; larger than `k` where it had to be clipped.
    """

    indices: np.ndarray
    distances: np.ndarray
    k: int
    requested_k: int


def nearest_neighbors(features: np.ndarray, config: NeighborConfig | None = None) -> Neighbors:
    """The k nearest other rows of every row. O(N^2 F) time, memory bounded by blocks.

    Args:
        features: (N, F), N >= 3.
        config: k, metric and block size.

    Raises:
        ValueError: On fewer than 3 rows, NaN or infinite values (row ids named).
    """
    config = config or NeighborConfig()
    rows = _prepared(check_features(features), config.metric)
    narrow = _narrow(rows)
    n, k = len(rows), min(config.k, len(features) - 1)
    wanted = min(k + 1 + _SPARE, n)

    def block(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        candidates = _search(narrow[start:stop], narrow, wanted)
        own = candidates == np.arange(start, stop)[:, None]
        return _ranked(rows[start:stop], rows, np.where(own, -1, candidates), k)

    return _neighbors(*_in_blocks(block, n, config.block_rows), config)


def nearest_of_other_group(
    features: np.ndarray, groups: np.ndarray, config: NeighborConfig | None = None
) -> Neighbors:
    """The k nearest rows of a *different* group (token id, text), exact.

    Rows are sorted by group, so that the rows of other groups are the two contiguous runs
    before and after; both are searched whole and merged. k is clipped to the number of other
    rows that the largest group leaves.

    Args:
        features: (N, F), N >= 3.
        groups: (N,) int >= 0.
        config: k, metric and block size.

    Raises:
        ValueError: On bad features or groups, or where one group holds every row.
    """
    config = config or NeighborConfig()
    features = check_features(features)
    ids = check_labels(groups, len(features), name="groups")
    if ids.min() < 0:
        raise ValueError("groups must be >= 0: drop the rows without one first")
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(ids[order]) != 0])
    stops = np.r_[starts[1:], len(ids)]
    k = min(config.k, len(ids) - int((stops - starts).max()))
    if k == 0:
        raise ValueError("groups must hold at least 2 distinct values, got 1")
    rows = _prepared(features, config.metric)[order]
    narrow = _narrow(rows)
    indices = np.empty((len(ids), k), dtype=np.int64)
    distances = np.empty((len(ids), k))
    for first, last in zip(starts, stops, strict=True):
        found, away = _outside(rows, narrow, int(first), int(last), k, config.block_rows)
        indices[order[first:last]], distances[order[first:last]] = order[found], away
    return _resorted(indices, distances, config)


def nearest_in(
    queries: np.ndarray, features: np.ndarray, config: NeighborConfig | None = None
) -> Neighbors:
    """The k nearest rows of `features` (N, F) to every query (Q, F); both centred on the features.

    Raises:
        ValueError: On NaN, infinite values or different widths.
    """
    config = config or NeighborConfig()
    features = check_features(features, min_rows=1)
    queries = check_features(queries, name="queries", min_rows=1)
    if queries.shape[1] != features.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} columns, features {features.shape[1]}")
    rows = _prepared(features, config.metric)
    asked = _prepared(queries, config.metric, like=features)
    scale = _rms(rows)
    narrow, narrow_asked = _narrow(rows, scale), _narrow(asked, scale)
    k = min(config.k, len(rows))
    wanted = min(k + _SPARE, len(rows))

    def block(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        candidates = _search(narrow_asked[start:stop], narrow, wanted)
        return _ranked(asked[start:stop], rows, candidates, k)

    return _neighbors(*_in_blocks(block, len(asked), config.block_rows), config)


def _prepared(features: np.ndarray, metric: Metric, like: np.ndarray | None = None) -> np.ndarray:
    """Centre in float64, then scale to unit rows (cosine) or keep (euclidean)."""
    origin = (features if like is None else like).mean(axis=0, dtype=np.float64)
    rows = features.astype(np.float64) - origin
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0, norms, 1.0)
    return rows


def _rms(rows: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(rows)))) or 1.0


def _narrow(rows: np.ndarray, scale: float | None = None) -> np.ndarray:
    """float32 rows for faiss, scaled to unit rms so that their squares neither over- nor underflow.

    The order of distances does not depend on the scale.
    """
    return np.ascontiguousarray(rows / (scale or _rms(rows)), dtype=np.float32)


def _search(queries: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """The k candidates (Q, k) of smallest float32 distance."""
    import faiss

    _, indices = faiss.knn(queries, rows, k)
    return indices.astype(np.int64)


def _ranked(
    queries: np.ndarray, rows: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of `candidates` (Q, C) by float64 squared distance; -1 is never chosen."""
    squared = np.empty(candidates.shape)
    # A slice's differences (q, C, F) stay within the processor's cache, whatever the width.
    size = max(1, _CACHED_VALUES // (candidates.shape[1] * rows.shape[1]))
    for start in range(0, len(queries), size):
        part = slice(start, start + size)
        apart = rows[candidates[part]] - queries[part, None, :]
        squared[part] = np.square(apart, out=apart).sum(axis=-1)
    squared[candidates < 0] = np.inf
    order = np.lexsort((candidates, squared), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(squared, order, axis=1)


def _outside(
    rows: np.ndarray, narrow: np.ndarray, first: int, last: int, k: int, block_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows to rows[first:last] among rows[:first] and rows[last:]."""

    def block(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        own = slice(first + start, first + stop)
        sides = [
            _search(narrow[own], side, min(k + _SPARE, len(side))) + offset
            for side, offset in ((narrow[:first], 0), (narrow[last:], last))
            if len(side)
        ]
        return _ranked(rows[own], rows, np.concatenate(sides, axis=1), k)

    return _in_blocks(block, last - first, block_rows)


def _in_blocks(
    block: Callable[[int, int], tuple[np.ndarray, np.ndarray]], n: int, block_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Run `block(start, stop)` over [0, n), with half the rows whenever memory runs out."""
    parts, start = [], 0
    while start < n:
        stop = min(start + block_rows, n)
        try:
            parts.append(block(start, stop))
        except MemoryError:
            if block_rows == 1:
                raise
            block_rows = (block_rows + 1) // 2
            continue
        start = stop
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _resorted(indices: np.ndarray, squared: np.ndarray, config: NeighborConfig) -> Neighbors:
    """Order ties by original row number once rows are back in their first order."""
    order = np.lexsort((indices, squared), axis=1)
    return _neighbors(
        np.take_along_axis(indices, order, axis=1),
        np.take_along_axis(squared, order, axis=1),
        config,
    )


def _neighbors(indices: np.ndarray, squared: np.ndarray, config: NeighborConfig) -> Neighbors:
    # For unit rows |a - b|^2 = 2 (1 - cos).
    distances = squared / 2.0 if config.metric == "cosine" else np.sqrt(squared)
    return Neighbors(indices=indices, distances=distances, k=indices.shape[1], requested_k=config.k)
