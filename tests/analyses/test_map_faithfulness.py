"""Map faithfulness: parity with scikit-learn, the random map, and a map with one bad point."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.manifold import trustworthiness

from analyses.maps.map_faithfulness import MapFaithfulnessConfig, map_faithfulness

EUCLIDEAN = MapFaithfulnessConfig(k=(5, 20), metric="euclidean")


def plane(n=200, f=6, seed=0):
    """Points of a plane turned into `f` columns, and their true coordinates."""
    flat = np.random.default_rng(seed).standard_normal((n, 2))
    return flat @ ortho_group.rvs(f, random_state=seed)[:2], flat


@pytest.mark.parametrize("k", [3, 15, 50])
def test_mean_trustworthiness_equals_scikit_learn(k):
    rng = np.random.default_rng(0)
    rows, coords = rng.standard_normal((150, 6)), rng.standard_normal((150, 2))
    coords += rows[:, :2]
    result = map_faithfulness(rows, coords, MapFaithfulnessConfig(k=(k,), metric="euclidean"))
    expected = trustworthiness(rows, coords, n_neighbors=k)
    assert result.score == pytest.approx(expected, rel=1e-12)


def test_the_true_map_is_faithful_in_every_point():
    rows, flat = plane()
    result = map_faithfulness(rows, 3.0 * flat + 7.0, EUCLIDEAN)
    assert result.score == 1.0
    for name in ("trustworthiness_5", "preservation_5", "trustworthiness_20", "preservation_20"):
        assert result.per_item[name].min() == 1.0


def test_a_random_map_is_at_chance():
    rows, _ = plane(1000)
    result = map_faithfulness(rows, np.random.default_rng(5).standard_normal((1000, 2)), EUCLIDEAN)
    assert result.score == pytest.approx(result.chance, abs=0.02)
    assert result.detail["preservation_20"] == pytest.approx(
        result.detail["preservation_chance_20"], abs=0.01
    )


def test_one_misplaced_point_is_the_least_trustworthy():
    rows, flat = plane()
    coords = flat.copy()
    far = int(np.argmax(flat[:, 0]))
    coords[far] = flat[int(np.argmin(flat[:, 0]))] + 1e-3
    result = map_faithfulness(rows, coords, EUCLIDEAN)
    assert int(np.argmin(result.per_item["trustworthiness_5"])) == far
    assert result.per_item["preservation_5"][far] == 0.0


def test_k_is_clipped_and_shown():
    rows, flat = plane(9)
    assert map_faithfulness(rows, flat, EUCLIDEAN).detail["k"] == [4]
