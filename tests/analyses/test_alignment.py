"""Alignment: oracles (rotation, noise), parity with direct formulas, metamorphic relations."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from analyses.spaces.alignment import AlignmentConfig, cknna, linear_cka, mutual_knn, shared_share
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval

CONFIG = AlignmentConfig(num_permutations=20, half_samples=HalfSampleConfig(num_resamples=8))
MEASURES = [linear_cka, cknna, mutual_knn]


def cloud(n=200, f=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, f)).astype(np.float32) * np.arange(1, f + 1, dtype=np.float32)


def direct_hsic(k, ell):
    """Song et al. 2012, eq. 5, written with whole matrices."""
    n = len(k)
    k, ell = k - np.diag(np.diag(k)), ell - np.diag(np.diag(ell))
    value = np.sum(k * ell.T) + k.sum() * ell.sum() / ((n - 1) * (n - 2))
    return (value - 2 * np.sum(k @ ell) / (n - 2)) / (n * (n - 3))


def direct_cknna(x, y, k):
    def unit(rows):
        rows = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def mask(kernel):
        masked = kernel - 10.0 * np.eye(len(kernel))
        top = np.argsort(-masked, axis=1)[:, :k]
        out = np.zeros_like(kernel)
        np.put_along_axis(out, top, 1.0, axis=1)
        return out

    a, b = (unit(rows) @ unit(rows).T for rows in (x, y))
    both = mask(a) * mask(b)
    own, other = direct_hsic(mask(a) * a, mask(a) * a), direct_hsic(mask(b) * b, mask(b) * b)
    return direct_hsic(both * a, both * b) / np.sqrt(own * other)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_rotated_shifted_scaled_copy_scores_one(measure):
    x = cloud()
    y = 3.0 * x.astype(np.float64) @ ortho_group.rvs(6, random_state=1) + 5.0
    result = measure(x, y, CONFIG)
    assert result.score == pytest.approx(1.0, abs=1e-6)
    assert result.n == 200
    assert result.chance < 0.1


@pytest.mark.parametrize("measure", MEASURES)
def test_independent_noise_is_at_chance(measure):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 300, 64))
    result = measure(x, y, CONFIG)
    assert abs(result.score - result.chance) < 0.05


def test_debiased_cka_of_noise_is_near_zero_where_the_biased_one_is_not():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40, 400))
    result = linear_cka(x, y, CONFIG)
    assert result.detail["biased"] > 0.85
    assert abs(result.score) < 0.1
    assert result.low < 0.0 < result.high


@pytest.mark.parametrize("seed", [0, 1])
def test_cka_equals_the_direct_formula(seed):
    x, y = cloud(60, 4, seed), cloud(60, 7, seed + 10)
    y[:, :4] += 2 * x
    a, b = (r.astype(np.float64) - r.mean(axis=0, dtype=np.float64) for r in (x, y))
    k, ell = a @ a.T, b @ b.T
    expected = direct_hsic(k, ell) / np.sqrt(direct_hsic(k, k) * direct_hsic(ell, ell))
    assert linear_cka(x, y, CONFIG).score == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("k", [2, 10])
def test_cknna_equals_the_direct_formula(k):
    x = cloud(80, 5)
    y = x[:, ::-1] + cloud(80, 5, seed=4)
    config = AlignmentConfig(k=k, num_permutations=3, half_samples=CONFIG.half_samples)
    assert cknna(x, y, config).score == pytest.approx(direct_cknna(x, y, k), rel=1e-9)


def test_cknna_null_equals_searching_the_permuted_rows_again():
    x, y = cloud(50, 5), cloud(50, 5, seed=4)
    config = AlignmentConfig(k=10, num_permutations=1, half_samples=CONFIG.half_samples, seed=9)
    order = np.random.default_rng(9).permutation(50)
    assert cknna(x, y, config).chance == pytest.approx(direct_cknna(x, y[order], 10), rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_order_of_the_spaces_does_not_matter(measure):
    x = cloud()
    y = x + cloud(seed=1)
    # The masks of CKNNA are one-sided, so it is symmetric only nearly.
    assert measure(y, x, CONFIG).score == pytest.approx(measure(x, y, CONFIG).score, abs=1e-3)


@pytest.mark.parametrize("measure", MEASURES)
def test_alignment_falls_with_noise_and_stays_inside_its_interval(measure):
    x = cloud()
    scores = [measure(x, x + noise * cloud(seed=1), CONFIG) for noise in (0.2, 1.0, 5.0)]
    assert scores[0].score > scores[1].score > scores[2].score
    assert all(s.low <= s.score <= s.high for s in scores)


def test_k_is_clipped_and_shown():
    result = mutual_knn(cloud(6), cloud(6, seed=1), CONFIG)
    assert result.detail == {"k": 5, "requested_k": 10}
    assert result.score == result.chance == 1.0


def test_shared_share_counts_by_row():
    a = np.array([[1, 2], [0, 2], [0, 1]])
    a = np.vstack([a, [0, 1]])
    b = np.array([[2, 1], [2, 3], [3, 1], [2, 2]])
    np.testing.assert_allclose(shared_share(a, b), [1.0, 0.5, 0.5, 0.0])


def test_half_sample_interval_has_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).standard_normal(400)
    config = HalfSampleConfig(num_resamples=400)
    interval = half_sample_interval(lambda r: float(values[r].mean()), values.mean(), 400, config)
    expected = 1.96 * values.std(ddof=1) / 20
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.1)


def test_half_samples_keep_groups_whole():
    groups = np.repeat(np.arange(10), 3)
    seen = []
    half_sample_interval(
        lambda rows: float(seen.append(rows) or len(rows)), 0.0, 30, HalfSampleConfig(), groups
    )
    assert all(len(np.unique(groups[rows])) == 5 and len(rows) == 15 for rows in seen)


def test_an_undefined_statistic_gives_no_bounds():
    interval = half_sample_interval(lambda rows: None, 1.0, 10, HalfSampleConfig())
    assert interval.low is None
    assert interval.reason is not None
