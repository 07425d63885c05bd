"""Exactness against float64 brute force and scikit-learn, and the corners."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from analyses.numerics.features import centred
from analyses.numerics.neighbors import (
    NeighborConfig,
    nearest_in,
    nearest_neighbors,
    nearest_of_other_group,
)

METRICS = ("cosine", "euclidean")


def brute(features, k, metric, allowed=None):
    """Direct float64 reference: full distance matrix, forbidden pairs at infinity."""
    x = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    squared = np.square(x[:, None] - x[None]).sum(-1)
    allowed = ~np.eye(len(x), dtype=bool) if allowed is None else allowed
    squared[~allowed] = np.inf
    return np.argsort(squared, axis=1, kind="stable")[:, :k]


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_to_scikit_learn(features, metric):
    found = nearest_neighbors(features, NeighborConfig(k=7, metric=metric))
    reference = NearestNeighbors(n_neighbors=8, metric=metric).fit(centred(features))
    distances, indices = reference.kneighbors(centred(features))
    np.testing.assert_array_equal(found.indices, indices[:, 1:])
    np.testing.assert_allclose(found.distances, distances[:, 1:], atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
def test_recall_one_under_a_large_common_mean(metric, offset):
    wide = np.random.default_rng(1).normal(size=(400, 16)) + offset
    found = nearest_neighbors(wide, NeighborConfig(k=10, metric=metric))
    np.testing.assert_array_equal(found.indices, brute(wide, 10, metric))


def test_recall_one_for_20000_rows_of_64():
    features = np.random.default_rng(2).normal(size=(20_000, 64)).astype(np.float32)
    found = nearest_neighbors(features, NeighborConfig(k=10, metric="euclidean"))
    x = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    rows = np.random.default_rng(3).choice(len(x), 50, replace=False)
    for row in rows:
        squared = np.square(x - x[row]).sum(axis=1)
        squared[row] = np.inf
        assert set(found.indices[row]) == set(np.argsort(squared)[:10])


def test_near_ties_that_float32_cannot_order_are_ordered_in_float64():
    # Row 0 sees twelve rows at distances 1 + i * 1e-9, far rows balance the mean.
    distance = 1.0 + 1e-9 * np.random.default_rng(0).permutation(12)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    near = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    features = np.concatenate([np.zeros((1, 2)), near])
    found = nearest_neighbors(features, NeighborConfig(k=5, metric="euclidean"))
    np.testing.assert_array_equal(found.indices[0], 1 + np.argsort(distance)[:5])


@pytest.mark.parametrize("block_rows", [1, 7, 1000])
def test_blocks_do_not_change_the_answer(features, block_rows):
    whole = nearest_neighbors(features)
    blocked = nearest_neighbors(features, NeighborConfig(block_rows=block_rows))
    np.testing.assert_array_equal(blocked.indices, whole.indices)


def test_rotation_and_translation_keep_neighbours_and_permutation_relabels_them(features):
    rng = np.random.default_rng(0)
    base = nearest_neighbors(features)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    moved = nearest_neighbors(features.astype(np.float64) @ rotation + rng.normal(size=12))
    np.testing.assert_array_equal(moved.indices, base.indices)
    order = rng.permutation(len(features))
    shuffled = nearest_neighbors(features[order])
    np.testing.assert_array_equal(order[shuffled.indices], base.indices[order])


def test_identical_rows_never_name_themselves():
    found = nearest_neighbors(np.ones((40, 3), dtype=np.float32), NeighborConfig(k=5))
    assert np.all(found.indices != np.arange(40)[:, None])
    assert found.indices.min() >= 0
    assert np.isfinite(found.distances).all()
    assert all(len(set(row)) == 5 for row in found.indices)


def test_k_is_clipped_and_says_so(features):
    found = nearest_neighbors(features[:5], NeighborConfig(k=50))
    assert (found.k, found.requested_k, found.indices.shape) == (4, 50, (5, 4))
    assert found.indices.min() >= 0


@pytest.mark.parametrize("metric", METRICS)
def test_other_group_equals_a_masked_brute_force(features, metric):
    groups = np.random.default_rng(4).zipf(1.5, size=len(features)).clip(max=30)
    found = nearest_of_other_group(features, groups, NeighborConfig(k=9, metric=metric))
    expected = brute(features, 9, metric, allowed=groups[:, None] != groups[None])
    np.testing.assert_array_equal(found.indices, expected)


def test_other_group_clips_to_what_the_largest_group_leaves(features):
    groups = np.r_[np.zeros(297, dtype=int), 1, 1, 2]
    found = nearest_of_other_group(features, groups, NeighborConfig(k=10))
    assert (found.k, found.requested_k) == (3, 10)


def test_queries_against_features(features):
    queries = features[:20] + 0.1
    found = nearest_in(queries, features, NeighborConfig(k=4, metric="euclidean"))
    reference = NearestNeighbors(n_neighbors=4).fit(features)
    distances, indices = reference.kneighbors(queries)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-4)
    own = nearest_in(features, features, NeighborConfig(k=1))
    np.testing.assert_array_equal(own.indices[:, 0], np.arange(len(features)))


def test_memory_error_halves_the_block(features, monkeypatch):
    import analyses.numerics.neighbors as module

    expected, search = nearest_neighbors(features).indices, module._search

    def small_only(queries, rows, k):
        if len(queries) > 64:
            raise MemoryError
        return search(queries, rows, k)

    monkeypatch.setattr(module, "_search", small_only)
    np.testing.assert_array_equal(nearest_neighbors(features).indices, expected)
