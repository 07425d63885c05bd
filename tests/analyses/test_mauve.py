"""MAUVE against the package, the bootstrap around it, and empty or few texts."""

import numpy as np
import pytest

from analyses.statistics.intervals import BootstrapConfig
from analyses.statistics.significance import verdict
from analyses.texts.mauve_buckets import bucket_labels, histograms, mauve_of_histograms, reduced
from analyses.texts.mauve_contrast import mauve_paired_bootstrap
from analyses.texts.mauve_score import MauveConfig, mauve_score

CONFIG = MauveConfig(num_buckets=10, num_seeds=2, bootstrap=BootstrapConfig(num_resamples=300))


def texts(n, shift, seed, width=24):
    """Features of n texts in eight clusters, of which `shift` moves mass to the first two."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(8, width))
    share = np.full(8, (1 - shift) / 8)
    share[:2] += shift / 2
    rows = centres[rng.choice(8, size=n, p=share)] + 0.3 * rng.normal(size=(n, width))
    return rows.astype(np.float32)


def package(human, written, **settings):
    from mauve.compute_mauve import compute_mauve

    return compute_mauve(p_features=human, q_features=written, verbose=False, **settings)


@pytest.mark.parametrize("shift", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("buckets", [8, 25])
def test_buckets_and_curve_equal_the_package(shift, buckets):
    human, written = texts(200, 0.0, 1), texts(150, shift, 2)
    theirs = package(human, written, num_buckets=buckets, seed=3, mauve_scaling_factor=5)
    labels = bucket_labels(reduced(np.vstack([written, human])), buckets, seed=3)
    q = histograms(labels[:150], np.ones((1, 150)), buckets)
    p = histograms(labels[150:], np.ones((1, 200)), buckets)
    np.testing.assert_allclose(p[0], theirs.p_hist)
    np.testing.assert_allclose(q[0], theirs.q_hist)
    np.testing.assert_allclose(mauve_of_histograms(p, q, 5.0), [theirs.mauve], atol=1e-12)


def test_curve_handles_disjoint_equal_and_empty_histograms():
    p = np.array([[0.5, 0.5, 0.0, 0.0]] * 3)
    q = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
    same, apart, nothing = mauve_of_histograms(p, q, 5.0)
    assert same == pytest.approx(1.0, abs=1e-5)
    assert 0.0 < apart < 0.01
    assert nothing == 0.0


def test_headline_is_the_mean_of_the_packages_scores():
    human, written = texts(200, 0.0, 1), texts(200, 0.5, 2)
    result = mauve_score(human, written, CONFIG, featurizer="toy")
    direct = [
        package(human, written, num_buckets=10, seed=s, mauve_scaling_factor=5).mauve
        for s in CONFIG.seeds
    ]
    assert result.score == pytest.approx(np.mean(direct))
    assert result.name == "mauve[toy]"
    assert result.low < result.score < result.high
    assert result.detail["resampling_shift"] > 0
    assert abs((result.low + result.high) / 2 - result.score) < 0.2 * (result.high - result.low)
    assert result.detail["too_few"] is False


def test_ordering_and_determinism():
    human = texts(200, 0.0, 1)
    near, far = (mauve_score(human, texts(200, s, 2), CONFIG, featurizer="t") for s in (0.0, 0.8))
    assert near.score > 0.95 > 0.8 > far.score
    again = mauve_score(human, texts(200, 0.8, 2), CONFIG, featurizer="t")
    assert (again.score, again.low, again.high) == (far.score, far.low, far.high)


def test_interval_has_the_spread_of_fresh_samples():
    config = MauveConfig(
        num_buckets=10, num_seeds=1, bootstrap=BootstrapConfig(num_resamples=400, level=0.6827)
    )
    fresh = [
        mauve_score(texts(150, 0, 2 * s), texts(150, 0.6, 2 * s + 1), config, featurizer="t")
        for s in range(40)
    ]
    spread = np.std([result.score for result in fresh])
    half_widths = np.mean([(result.high - result.low) / 2 for result in fresh])
    assert 0.7 < half_widths / spread < 1.5


def test_empty_texts_score_zero_and_are_counted():
    human, written = texts(200, 0.0, 1), texts(200, 0.3, 2)
    empty = np.arange(200) < 50
    broken = written.copy()
    broken[empty] = np.nan
    result = mauve_score(human, broken, CONFIG, featurizer="t", empty=empty)
    full = mauve_score(human, written[~empty], CONFIG, featurizer="t")
    assert result.score == pytest.approx(0.75 * full.score)
    assert result.detail["num_empty"] == 50
    nothing = mauve_score(human, broken, CONFIG, featurizer="t", empty=np.ones(200, dtype=bool))
    assert nothing.score == 0.0
    with pytest.raises(ValueError, match="continuations holds NaN"):
        mauve_score(human, broken, CONFIG, featurizer="t")


def test_few_texts_are_marked_and_too_few_are_undefined():
    result = mauve_score(texts(30, 0, 1), texts(30, 0, 2), CONFIG, featurizer="t")
    assert result.detail["too_few"] is True
    assert result.low < result.score <= result.high
    nothing = mauve_score(texts(4, 0, 1), texts(4, 0, 2), CONFIG, featurizer="t")
    assert nothing.score is None
    assert nothing.reason == "8 texts cannot fill 10 buckets"


def test_identical_texts_everywhere_score_one():
    same = np.ones((120, 8), dtype=np.float32)
    assert mauve_score(same, same, CONFIG, featurizer="t").score == 1.0
    assert package(same, same, num_buckets=10, seed=25).mauve < 0.9  # what 1 deviates from
    human = texts(200, 0.0, 1)
    copied = mauve_score(human, human, CONFIG, featurizer="t")
    assert copied.score == 1.0
    # Prompts are drawn for both sides together, so every resample is a copy again.
    assert copied.low == pytest.approx(1.0, abs=1e-5)


def test_paired_contrast_prefers_the_closer_arm_and_is_antisymmetric():
    human, near, far = texts(200, 0.0, 1), texts(200, 0.1, 2), texts(200, 0.7, 3)
    contrast = mauve_paired_bootstrap(human, near, far, CONFIG)
    headline = [mauve_score(human, arm, CONFIG, featurizer="t").score for arm in (near, far)]
    assert contrast.difference == pytest.approx(headline[0] - headline[1], abs=0.08)
    assert verdict(contrast) == "better"
    assert verdict(mauve_paired_bootstrap(human, far, near, CONFIG)) == "worse"


def test_paired_contrast_of_equal_arms_is_exactly_zero():
    human, arm = texts(150, 0.0, 1), texts(150, 0.4, 2)
    contrast = mauve_paired_bootstrap(human, arm, arm, CONFIG)
    assert (contrast.difference, contrast.low, contrast.high) == (0.0, 0.0, 0.0)
    assert contrast.p_value == 1.0


def test_paired_contrast_false_positives_stay_near_the_level():
    config = MauveConfig(num_buckets=10, num_seeds=1, bootstrap=CONFIG.bootstrap)
    verdicts = [
        verdict(
            mauve_paired_bootstrap(
                texts(120, 0, 3 * s), texts(120, 0.4, 3 * s + 1), texts(120, 0.4, 3 * s + 2), config
            )
        )
        for s in range(60)
    ]
    assert np.mean([v != "not distinguishable" for v in verdicts]) <= 0.15


def test_paired_contrast_over_run_seeds_and_with_empty_texts():
    human = texts(120, 0.0, 1)
    a = np.stack([texts(120, 0.1, s) for s in (2, 3)])
    b = np.stack([texts(120, 0.1, s) for s in (4, 5)])
    empty = np.zeros((2, 120), dtype=bool)
    empty[:, :60] = True
    contrast = mauve_paired_bootstrap(human, a, b, CONFIG, empty_b=empty)
    assert contrast.difference == pytest.approx(0.5, abs=0.15)
    assert verdict(contrast) == "better"
