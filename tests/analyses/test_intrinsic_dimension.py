"""TwoNN on manifolds of known dimension, and parity with scikit-dimension."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from analyses.spaces.intrinsic_dimension import IntrinsicDimensionConfig, intrinsic_dimension


def embedded(dimension, width=12, n=2000, seed=0):
    """Uniform points of a flat `dimension`-cube, rotated into `width` columns."""
    rng = np.random.default_rng(seed)
    flat = np.zeros((n, width))
    flat[:, :dimension] = rng.uniform(size=(n, dimension))
    return flat @ ortho_group.rvs(width, random_state=seed)


@pytest.mark.parametrize("dimension", [1, 2, 4])
@pytest.mark.parametrize("method", ["mle", "linear"])
def test_a_flat_manifold_has_its_dimension(dimension, method):
    result = intrinsic_dimension(
        embedded(dimension), config=IntrinsicDimensionConfig(method=method)
    )
    assert result.score == pytest.approx(dimension, rel=0.1)
    assert result.low < result.score < result.high
    assert result.n == 2000


def test_a_curved_surface_reads_below_a_gaussian_of_equal_covariance():
    rng = np.random.default_rng(0)
    turn, height = rng.uniform(1.5 * np.pi, 4.5 * np.pi, 2000), rng.uniform(0, 21, 2000)
    roll = np.column_stack([turn * np.cos(turn), height, turn * np.sin(turn)])
    result = intrinsic_dimension(roll)
    assert result.score == pytest.approx(2.0, rel=0.1)
    assert result.chance == pytest.approx(3.0, rel=0.15)
    assert result.high < result.chance


def test_the_interval_covers_the_truth_at_about_its_level():
    covered = 0
    for seed in range(100):
        # A flat torus: no edge, so nothing but chance moves the estimate.
        a, b = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, (2, 300))
        result = intrinsic_dimension(np.column_stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b)]))
        covered += result.low <= 2.0 <= result.high
    assert 88 <= covered <= 99


@pytest.mark.parametrize("discard", [0.1, 0.3])
@pytest.mark.parametrize("width", [8, 40])
def test_both_methods_equal_scikit_dimension(discard, width):
    skdim = pytest.importorskip("skdim")
    cloud = np.random.default_rng(1).standard_normal((400, width))
    for method in ("mle", "linear"):
        config = IntrinsicDimensionConfig(method=method, discard_fraction=discard)
        theirs = skdim.id.TwoNN(discard_fraction=discard, method=method).fit(cloud).dimension_
        assert intrinsic_dimension(cloud, config=config).score == pytest.approx(theirs, rel=1e-6)


def test_duplicates_are_left_out_and_counted():
    cloud = embedded(2, n=400)
    result = intrinsic_dimension(np.vstack([cloud, cloud[:50]]))
    assert result.detail["duplicates"] == 100
    assert result.n == 350
