"""VIV against a Monte-Carlo run of the optimal class-conditional Gaussian denoiser."""

import numpy as np
import pytest

from analyses.spaces.velocity_information import (
    VelocityInformationConfig,
    context_velocity_information,
    velocity_information,
)
from analyses.statistics.half_samples import HalfSampleConfig

CONFIG = VelocityInformationConfig(
    num_permutations=3, half_samples=HalfSampleConfig(num_resamples=8)
)


def mixture(within, n=6000, classes=3, seed=0):
    """Gaussian classes with the given within-class variances (F,), each column of variance 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    centres = rng.standard_normal((classes, len(within)))
    centres = (centres - centres[labels].mean(axis=0)) / centres[labels].std(axis=0)
    z = centres[labels] * np.sqrt(1 - within)
    return z + np.sqrt(within) * rng.standard_normal((n, len(within))), labels


def conditional_loss(z, labels, draws=40):
    """Velocity loss of the optimal denoiser that knows class means and variances, uniform t."""
    rng = np.random.default_rng(1)
    total = 0.0
    for _ in range(draws):
        t = rng.uniform(size=(len(z), 1))
        noise = rng.standard_normal(z.shape)
        z_t = (1 - t) * noise + t * z
        for c in np.unique(labels):
            own = labels == c
            mean, variance = z[own].mean(axis=0), z[own].var(axis=0)
            gain = (t[own] * variance - (1 - t[own])) / ((1 - t[own]) ** 2 + t[own] ** 2 * variance)
            best = mean + gain * (z_t[own] - t[own] * mean)
            total += np.square(z[own] - noise[own] - best).sum()
    return total / (draws * z.size)


@pytest.mark.parametrize("within", [0.05, 0.5, 0.95])
def test_viv_is_the_loss_of_the_optimal_denoiser_that_knows_the_class(within):
    z, labels = mixture(np.array([within, within / 2, 0.5]))
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    result = velocity_information(z, labels, CONFIG)
    assert result.score == pytest.approx(conditional_loss(z, labels), rel=0.01)
    assert result.low < result.score < result.high


def test_viv_rho_and_phi_of_a_known_covariance():
    within = np.array([0.04, 0.16, 0.64, 0.36])
    result = velocity_information(*mixture(within), CONFIG)
    assert result.score == pytest.approx(np.pi / 2 * np.sqrt(within).mean(), rel=0.03)
    assert result.detail["rho"] == pytest.approx(0.3, rel=0.03)
    assert result.detail["phi"] == pytest.approx(0.5 / np.sqrt(0.3), rel=0.03)
    assert result.detail["viv_sum"] == pytest.approx(4 * result.score)
    assert result.chance == pytest.approx(np.pi / 2, rel=0.2)


def test_labels_that_mean_nothing_are_at_chance():
    z, _ = mixture(np.full(4, 0.3))
    labels = np.random.default_rng(9).integers(3, size=len(z))
    result = velocity_information(z, labels, CONFIG)
    assert result.score == pytest.approx(result.chance, rel=0.01)
    assert result.detail["rho"] == pytest.approx(1.0, rel=0.01)


def test_small_classes_bias_the_score_and_its_chance_alike():
    z = np.random.default_rng(0).standard_normal((600, 16))
    labels = np.repeat(np.arange(30), 20)
    config = VelocityInformationConfig(
        min_class_size=20, num_permutations=5, half_samples=CONFIG.half_samples
    )
    result = velocity_information(z, labels, config)
    assert result.score < 0.9 * np.pi / 2
    assert result.score == pytest.approx(result.chance, rel=0.02)


def test_label_names_and_the_scale_of_one_column_do_not_matter():
    z, labels = mixture(np.array([0.2, 0.4, 0.9]), n=900)
    score = velocity_information(z, labels, CONFIG).score
    moved = z * np.array([1.0, 50.0, 0.1]) + 7.0
    assert velocity_information(moved, 10 - labels, CONFIG).score == pytest.approx(score)


def test_missing_labels_and_small_classes_are_left_out_and_counted():
    z, labels = mixture(np.full(3, 0.5), n=900)
    labels = labels.copy()
    labels[:100] = -1
    labels[100:103] = 7
    result = velocity_information(z, labels, CONFIG)
    assert result.n == 797
    assert result.detail["coverage"] == pytest.approx(797 / 800)
    assert list(result.per_item["label"]) == [0, 1, 2]


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_context_viv_is_that_of_the_residual_variance(noise):
    rng = np.random.default_rng(0)
    context = rng.standard_normal((5000, 5))
    target = context[:, :4] + noise * rng.standard_normal((5000, 4))
    left = noise**2 / (1 + noise**2)
    result = context_velocity_information(target, context, CONFIG)
    assert result.detail["rho"] == pytest.approx(left, rel=0.05)
    assert result.score == pytest.approx(np.pi / 2 * np.sqrt(left), rel=0.03)
    assert result.chance == pytest.approx(np.pi / 2, rel=0.02)


def test_context_viv_does_not_leak_across_the_tokens_of_a_text():
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(60), 8)
    context = rng.standard_normal((60, 100))[texts]
    target = rng.standard_normal((60, 3))[texts]
    apart = context_velocity_information(target, context, CONFIG, texts)
    assert apart.detail["rho"] > 0.9


def test_a_constant_column_adds_nothing_but_width():
    z, labels = mixture(np.array([0.2, 0.4]), n=900)
    padded = np.column_stack([z, np.full(900, 3.0)])
    without, with_it = (velocity_information(f, labels, CONFIG) for f in (z, padded))
    assert with_it.detail["viv_sum"] == pytest.approx(without.detail["viv_sum"], rel=1e-9)
