"""Isotropy: closed forms, direct pair sums, and what rotation must not change."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from analyses.spaces.isotropy import IsotropyConfig, isotropy, uniformity
from analyses.statistics.half_samples import HalfSampleConfig

CONFIG = IsotropyConfig(half_samples=HalfSampleConfig(num_resamples=10))


def cloud(n=300, f=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, f))


def test_mean_cosine_equals_the_sum_over_all_pairs():
    rows = cloud() + 0.7
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = (units @ units.T)[np.triu_indices(len(rows), 1)]
    assert isotropy(rows, config=CONFIG).score == pytest.approx(pairs.mean(), rel=1e-12)


def test_a_common_mean_is_seen_and_centring_removes_it():
    result = isotropy(cloud() + 10.0, config=CONFIG)
    assert result.score > 0.95
    assert abs(result.detail["centred_mean_cosine"]) < 0.01
    assert abs(isotropy(cloud(), config=CONFIG).score) < 0.01


def test_rogue_dimensions_carry_the_energy():
    rows = cloud(f=100)
    rows[:, :4] *= 10.0
    detail = isotropy(rows, config=CONFIG).detail
    expected = 400 / (400 + 96)
    assert detail["top_dimension_energy"] == pytest.approx(expected, abs=0.03)
    assert detail["top_component_energy"] == pytest.approx(expected, abs=0.03)
    assert detail["top_flat"] == 0.04


def test_rotation_hides_energy_from_dimensions_but_not_from_components():
    rows = cloud(f=32)
    rows[:, 0] *= 10.0
    turned = rows @ ortho_group.rvs(32, random_state=0)
    before, after = (isotropy(r, config=CONFIG) for r in (rows, turned))
    assert after.score == pytest.approx(before.score, abs=1e-12)
    assert after.detail["top_component_energy"] == pytest.approx(
        before.detail["top_component_energy"]
    )
    assert after.detail["top_dimension_energy"] < before.detail["top_dimension_energy"] - 0.1


@pytest.mark.parametrize("block_rows", [7, 1000])
def test_uniformity_equals_the_sum_over_all_pairs_in_any_block(block_rows):
    rows = cloud(60) * np.arange(1, 9)
    units = rows - rows.mean(axis=0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    squared = np.square(units[:, None] - units[None]).sum(-1)[np.triu_indices(60, 1)]
    config = IsotropyConfig(block_rows=block_rows, half_samples=CONFIG.half_samples)
    expected = np.log(np.exp(-2.0 * squared).mean())
    assert uniformity(rows, config=config).score == pytest.approx(expected, rel=1e-9)


def test_gaussian_rows_are_as_uniform_as_the_sphere_and_a_line_is_not():
    round_cloud = uniformity(cloud(1000), config=CONFIG)
    assert round_cloud.score == pytest.approx(round_cloud.chance, abs=0.03)
    line = cloud(1000) * np.array([50.0, 1, 1, 1, 1, 1, 1, 1])
    flat = uniformity(line, config=CONFIG)
    assert flat.low > flat.chance + 0.3


def test_row_limit_is_kept_and_shown():
    config = IsotropyConfig(max_rows=50, half_samples=CONFIG.half_samples)
    assert uniformity(cloud(), config=config).n == 50
