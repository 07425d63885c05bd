"""Ridge from context and the tiny flow's excess: oracles, parity with scikit-learn, nulls."""

import numpy as np
import pytest

from analyses.numerics.ridge import CrossFittedRidge, RidgeConfig
from analyses.spaces.learnability import LearnabilityConfig, context_predictability, flow_excess

CONFIG = LearnabilityConfig(num_permutations=5)


def linear_data(n=600, f=8, g=4, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, f))
    signal = x @ rng.standard_normal((f, g)) / np.sqrt(f)
    signal /= signal.std(axis=0)
    return x, signal + noise * rng.standard_normal((n, g))


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_r2_is_signal_over_total_variance(noise):
    result = context_predictability(*linear_data(4000, noise=noise), CONFIG)
    assert result.score == pytest.approx(1 / (1 + noise**2), abs=0.04)
    assert result.low < 1 / (1 + noise**2) < result.high
    assert abs(result.chance) < 0.02


def test_unrelated_context_is_at_chance_even_when_wide():
    rng = np.random.default_rng(0)
    result = context_predictability(
        rng.standard_normal((120, 100)), rng.standard_normal((120, 5)), CONFIG
    )
    assert abs(result.score - result.chance) < 0.1
    assert result.score < 0.1


@pytest.mark.parametrize("penalty", [1e-3, 1.0])
def test_held_out_residuals_equal_scikit_learns_ridge(penalty):
    from sklearn.linear_model import Ridge

    x, y = linear_data(90)
    ridge = CrossFittedRidge(x, RidgeConfig(penalties=(penalty,), num_folds=3, seed=1))
    fit = ridge.fit(y)
    place = np.random.default_rng(1).permutation(90) % 3
    for fold in range(3):
        train, held = place != fold, place == fold
        scale = x[train].std(axis=0)
        model = Ridge(alpha=penalty * train.sum()).fit(x[train] / scale, y[train])
        expected = y[held] - model.predict(x[held] / scale)
        np.testing.assert_allclose(fit.residuals[held], expected, atol=1e-9)


def test_generalised_cross_validation_picks_what_scikit_learn_picks():
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import scale

    x, y = linear_data(60, f=30, noise=3.0)
    penalties = (1e-3, 1e-2, 1e-1, 1.0)
    fit = CrossFittedRidge(x, RidgeConfig(penalties=penalties, num_folds=2)).fit(y)
    place = np.random.default_rng(0).permutation(60) % 2
    for fold in range(2):
        train = place != fold
        model = RidgeCV(alphas=[p * train.sum() for p in penalties]).fit(scale(x[train]), y[train])
        ours, theirs = fit.penalties[fold], model.alpha_ / train.sum()
        # scikit-learn minimises leave-one-out error, its rotation-free form may differ by one step.
        assert abs(np.log10(ours) - np.log10(theirs)) <= 1.01


def test_grouped_folds_do_not_leak_what_the_rows_of_a_text_share():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    x = rng.standard_normal((40, 60))[groups] + 0.01 * rng.standard_normal((400, 60))
    y = rng.standard_normal((40, 3))[groups] + 0.01 * rng.standard_normal((400, 3))
    assert context_predictability(x, y, CONFIG).score > 0.9
    assert context_predictability(x, y, CONFIG, groups).score < 0.1


def test_a_constant_context_column_is_harmless():
    x, y = linear_data()
    padded = np.column_stack([x, np.full(len(x), 3.0)])
    expected = context_predictability(x, y, CONFIG).score
    assert context_predictability(padded, y, CONFIG).score == pytest.approx(expected, rel=1e-6)


def gaussian_oracle(features, num_steps, seed):
    """The optimal denoiser for N(0, I): it reaches the floor pi / 2 and no less."""
    rng = np.random.default_rng(seed)
    z, noise = features, rng.standard_normal(features.shape)
    t = rng.uniform(size=(len(z), 1))
    z_t = (1 - t) * noise + t * z
    gain = (t - (1 - t)) / ((1 - t) ** 2 + t**2)
    return np.square(z - noise - gain * z_t).mean(axis=1)


def test_the_optimal_gaussian_flow_has_no_excess_on_gaussian_data():
    z = np.random.default_rng(1).standard_normal((4000, 8))
    result = flow_excess(z, gaussian_oracle, np.pi / 2, CONFIG)
    assert result.low < 0.0 < result.high
    assert result.detail["ratio"] == pytest.approx(1.0, abs=0.02)
    assert result.n == 4000


def test_seeds_and_steps_reach_the_trainer_and_more_seeds_give_an_interval_over_seeds():
    calls = []

    def train(features, num_steps, seed):
        calls.append((num_steps, seed))
        return np.array([2.0 + seed, 2.0 + seed])

    config = LearnabilityConfig(num_steps=7, num_seeds=3, seed=4)
    result = flow_excess(np.zeros((5, 2, 3)), train, 1.0, config)
    assert calls == [(7, 4), (7, 5), (7, 6)]
    assert result.score == pytest.approx(6.0)
    assert result.low < 5.0 < 7.0 < result.high
