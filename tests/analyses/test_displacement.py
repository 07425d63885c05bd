"""Displacement: copies stay, strangers are at one half, and a moved item is found."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group

from analyses.numerics.neighbor_ranks import neighbor_ranks
from analyses.spaces.displacement import DisplacementConfig, displacement


def cloud(n=200, f=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, f))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("block_rows", [7, 512])
def test_ranks_equal_a_full_sort(metric, block_rows):
    rows = cloud(60) + 100.0
    away = cdist(rows - rows.mean(axis=0), rows - rows.mean(axis=0), metric)
    np.fill_diagonal(away, np.inf)
    expected = 1 + np.argsort(np.argsort(away, axis=1), axis=1)
    asked = np.array([[j for j in range(60) if j != i] for i in range(60)])
    got = neighbor_ranks(rows, asked, metric=metric, block_rows=block_rows)
    np.testing.assert_array_equal(got, np.take_along_axis(expected, asked, axis=1))


def test_copies_share_the_best_rank():
    rows = np.array([[0.0, 1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [9.0, -4.0]])
    got = neighbor_ranks(rows, np.array([[1, 2, 3]] * 5), metric="euclidean")
    np.testing.assert_array_equal(got[0], [1, 1, 1])


def test_a_rotated_scaled_copy_does_not_move():
    x = cloud()
    result = displacement(x, 3.0 * x @ ortho_group.rvs(5, random_state=0) + 8.0)
    assert result.score == 0.0
    assert result.detail["overlap"] == 1.0


def test_strangers_are_at_chance():
    result = displacement(cloud(500), cloud(500, seed=1))
    assert result.score == pytest.approx(result.chance, abs=0.02)
    assert result.detail["overlap"] == pytest.approx(result.detail["overlap_chance"], abs=0.02)


def test_the_items_that_were_moved_are_listed_first():
    x = cloud(300)
    x *= 5.0 / np.linalg.norm(x, axis=1, keepdims=True)
    y = x.copy()
    moved = [3, 77, 150]
    y[moved] = -y[moved]
    result = displacement(x, y, DisplacementConfig(top=3))
    assert sorted(result.detail["most_moved"]) == moved
    assert result.per_item["displacement"][moved].min() > 0.9
    assert np.median(result.per_item["displacement"]) < 0.05


def test_it_is_symmetric_and_blocks_do_not_matter():
    x, y = cloud(), cloud() + 0.7 * cloud(seed=1)
    base = displacement(x, y)
    assert displacement(y, x).score == pytest.approx(base.score, rel=1e-12)
    blocked = displacement(x, y, DisplacementConfig(block_rows=13))
    np.testing.assert_array_equal(blocked.per_item["displacement"], base.per_item["displacement"])


def test_more_noise_moves_more():
    x = cloud()
    scores = [displacement(x, x + s * cloud(seed=1)).score for s in (0.1, 0.5, 2.0)]
    assert 0.0 < scores[0] < scores[1] < scores[2] < 0.5
