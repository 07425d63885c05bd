"""Closed forms against Monte-Carlo, and the corners of the floor."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from analyses.spaces.velocity_floor import (
    VelocityFloorConfig,
    _resampled_eigenvalues,
    band_fraction,
    covariance_eigenvalues,
    floor_curve,
    floor_given_mu,
    gaussian_floor,
    midpoint_quantiles,
    velocity_floor,
)
from analyses.statistics.intervals import BootstrapConfig, resample_counts

UNIFORM = midpoint_quantiles(1000)


def test_white_latents_and_uniform_t_give_half_pi_and_its_quarters():
    assert velocity_floor(np.ones(8), UNIFORM) == pytest.approx(np.pi / 2, abs=1e-5)
    white = np.random.default_rng(0).normal(size=(20_000, 4))
    quarters = gaussian_floor(white, t=UNIFORM).detail["by_quarter"]
    np.testing.assert_allclose(quarters, [1.287, 1.855, 1.855, 1.287], atol=0.03)


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.741), (1.5, 1.607)])
def test_logit_normal_times(scale, expected):
    t = expit(scale * norm.ppf(midpoint_quantiles(4000)))
    assert velocity_floor(np.ones(3), t) == pytest.approx(expected, abs=1e-3)


def test_uniform_t_integral_is_half_pi_times_mean_root():
    variances = np.array([0.05, 0.3, 1.0, 4.0])
    expected = np.pi / 2 * np.sqrt(variances).mean()
    assert velocity_floor(variances, midpoint_quantiles(20_000)) == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("clamp", [0.0, 0.3])
def test_curve_is_the_loss_of_the_best_linear_denoiser(t, clamp):
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(3, 3))
    z = rng.normal(size=(200_000, 3)) @ factor.T + 2.0
    noise = rng.normal(size=z.shape)
    z_t = (1 - t) * noise + t * z
    design = np.c_[z_t, np.ones(len(z))]
    # A least-squares fit stands in for the posterior mean, which is linear here.
    residual = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
    loss = np.square(residual).mean() / max(1 - t, clamp) ** 2
    eigenvalues = covariance_eigenvalues(z)
    assert floor_curve(eigenvalues, [t], t_clamp=clamp)[0] == pytest.approx(loss, rel=0.02)


def test_eigenvalues_of_a_known_covariance():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(100_000, 3)) * np.array([1.0, 2.0, 0.5]) + 1e4
    np.testing.assert_allclose(covariance_eigenvalues(z), [0.25, 1.0, 4.0], rtol=0.03)


def test_floor_given_mu_equals_monte_carlo():
    rng = np.random.default_rng(1)
    variance = np.exp(rng.normal(-2, 1, size=(400, 2)))
    mu = rng.normal(size=variance.shape)
    t = midpoint_quantiles(50)
    losses = []
    for time in t:
        z = mu + np.sqrt(variance) * rng.normal(size=(200, *mu.shape))
        noise = rng.normal(size=z.shape)
        z_t = (1 - time) * noise + time * z
        gain = time * variance / ((1 - time) ** 2 + time**2 * variance)
        z_hat = mu + gain * (z_t - time * mu)
        losses.append(np.square((z_hat - z_t) / (1 - time) - (z - noise)).mean())
    assert floor_given_mu(variance, t) == pytest.approx(np.mean(losses), rel=0.02)


def test_knowing_more_lowers_the_floor_and_a_mean_target_takes_it_to_zero():
    assert floor_given_mu(np.full((5, 2), 0.3), UNIFORM) < velocity_floor(np.ones(2), UNIFORM)
    assert floor_given_mu(np.zeros((5, 2)), UNIFORM) == 0.0
    np.testing.assert_allclose(floor_curve([0.0, 0.0], [0.0, 1.0]), [0.0, 1.0])


def test_scale_moves_the_floor():
    z = np.random.default_rng(0).normal(size=(2000, 4)) * np.array([1, 2, 3, 0.2])
    base, twice = (gaussian_floor(x, t=UNIFORM).score for x in (z, 2 * z))
    assert twice == pytest.approx(2 * base, rel=1e-3)


def test_interval_covers_the_true_floor_and_keeps_texts_whole():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 3))
    result = gaussian_floor(z, t=UNIFORM)
    assert result.low < np.pi / 2 < result.high
    texts = np.repeat(np.arange(60), 50)
    clustered = rng.normal(size=(60, 3))[texts] + 0.1 * rng.normal(size=(3000, 3))
    by_row, by_text = (gaussian_floor(clustered, labels, t=UNIFORM) for labels in (None, texts))
    assert by_text.high - by_text.low > 3 * (by_row.high - by_row.low)


def test_block_moments_give_the_covariance_of_the_resampled_rows():
    rng = np.random.default_rng(0)
    blocks = rng.choice(4, p=[0.1, 0.2, 0.3, 0.4], size=90)
    rows = rng.normal(size=(90, 3)) + blocks[:, None]
    config = BootstrapConfig(num_resamples=5, seed=7)
    counts = next(resample_counts(4, 5, np.random.default_rng(7))).astype(int)
    for found, drawn in zip(_resampled_eigenvalues(rows, blocks, config), counts, strict=True):
        resampled = np.concatenate([rows[blocks == b] for b in range(4) for _ in range(drawn[b])])
        np.testing.assert_allclose(found, covariance_eigenvalues(resampled), atol=1e-9)


def test_result_holds_the_band():
    z = np.random.default_rng(0).normal(size=(500, 3))
    result = gaussian_floor(z, t=UNIFORM, posterior_variances=np.full((500, 3), 0.25))
    assert result.detail["given_mu"] == pytest.approx(np.pi / 4, abs=1e-4)
    assert result.chance == pytest.approx(np.pi / 2, abs=1e-4)
    assert band_fraction(1.0, floor_mu=0.5, floor_gaussian=1.5) == 0.5
    assert band_fraction(1.0, floor_mu=1.0, floor_gaussian=1.0) is None


def test_wide_features_have_no_interval_and_say_so():
    z = np.random.default_rng(0).normal(size=(40, 20))
    result = gaussian_floor(z, None, VelocityFloorConfig(max_interval_width=10), t=[0.5])
    assert result.low is None
    assert result.detail["interval"] == "not drawn: more than 10 columns"
    one = gaussian_floor(z, np.zeros(40, dtype=int), t=[0.5])
    assert one.detail["interval"] == "not drawn: one group of rows"
