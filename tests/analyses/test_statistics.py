"""Coverage, pairing, and the verdicts that rest on them."""

import numpy as np
import pytest
from scipy import stats

from analyses.statistics.intervals import (
    BootstrapConfig,
    Contrast,
    bootstrap,
    grouped_bootstrap,
    hierarchical_bootstrap,
    paired_bootstrap,
    paired_hierarchical_bootstrap,
    resample_counts,
    seed_interval,
)
from analyses.statistics.significance import holm, verdict


def test_resample_counts_rows_sum_to_n_and_blocks_do_not_change_the_draw(monkeypatch):
    whole = np.concatenate(list(resample_counts(7, 50, np.random.default_rng(1))))
    monkeypatch.setattr("analyses.statistics.intervals._BLOCK_COUNTS", 30)
    blocks = list(resample_counts(7, 50, np.random.default_rng(1)))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(whole.sum(axis=1), 7)


def test_bootstrap_matches_the_normal_interval_of_a_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    interval = bootstrap(values)
    half = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    config = BootstrapConfig(num_resamples=400, level=0.9)
    intervals = [bootstrap(rng.exponential(size=80), config) for _ in range(300)]
    covered = np.mean([i.low <= 1.0 <= i.high for i in intervals])
    assert 0.83 <= covered <= 0.95


def test_bootstrap_leaves_nan_out():
    interval = bootstrap(np.array([1.0, np.nan, 3.0]))
    assert (interval.mean, interval.n) == (2.0, 2)


def test_grouped_bootstrap_is_wider_when_rows_of_a_group_agree():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    values = rng.normal(size=40)[groups] + 0.01 * rng.normal(size=1000)
    by_row, by_group = bootstrap(values), grouped_bootstrap(values, groups)
    assert by_group.mean == pytest.approx(by_row.mean)
    ratio = (by_group.high - by_group.low) / (by_row.high - by_row.low)
    assert 4.0 < ratio < 6.0  # sqrt(25) = 5


def test_paired_bootstrap_removes_what_the_arms_share():
    rng = np.random.default_rng(0)
    prompt = rng.normal(0, 10, size=200)
    a, b = prompt + 0.3 + 0.1 * rng.normal(size=200), prompt + 0.1 * rng.normal(size=200)
    contrast = paired_bootstrap(a, b)
    assert contrast.low > 0.25
    assert contrast.high < 0.35
    assert contrast.p_value == pytest.approx(2 / 2001)
    assert verdict(contrast) == "better"
    assert verdict(contrast, higher_is_better=False) == "worse"
    assert verdict(paired_bootstrap(b, a)) == "worse"


def test_equal_arms_are_not_distinguishable():
    a = np.random.default_rng(0).normal(size=100)
    contrast = paired_bootstrap(a, a)
    assert (contrast.difference, contrast.p_value) == (0.0, 1.0)
    assert verdict(contrast) == "not distinguishable"


def test_paired_bootstrap_false_positives_stay_near_the_level():
    rng = np.random.default_rng(3)
    config = BootstrapConfig(num_resamples=500)
    draws = [rng.normal(size=(2, 100)) for _ in range(300)]
    wrong = np.mean(
        [verdict(paired_bootstrap(a, b, config)) != "not distinguishable" for a, b in draws]
    )
    assert 0.01 <= wrong <= 0.10


def test_hierarchical_bootstrap_has_both_variances():
    rng = np.random.default_rng(0)
    seeds, prompts = rng.normal(size=(12, 1)), rng.normal(size=(1, 150))
    interval = hierarchical_bootstrap(seeds + prompts)
    expected = np.sqrt(seeds.var() / 12 + prompts.var() / 150)
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(expected, rel=0.12)
    assert interval.n == 150


def test_hierarchical_bootstrap_with_one_seed_is_a_bootstrap_over_prompts():
    values = np.random.default_rng(0).normal(size=300)
    one, flat = hierarchical_bootstrap(values[None]), bootstrap(values)
    assert one.mean == pytest.approx(flat.mean)
    assert one.low == pytest.approx(flat.low, abs=0.02)


def test_hierarchical_bootstrap_weighs_seeds_equally_whatever_is_missing():
    values = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, np.nan, np.nan, np.nan]])
    interval = hierarchical_bootstrap(values)
    assert interval.mean == 2.0
    assert (interval.low, interval.high) == (1.0, 3.0)


def test_paired_hierarchical_bootstrap_sees_a_constant_gain():
    rng = np.random.default_rng(0)
    b = rng.normal(size=(3, 80))
    contrast = paired_hierarchical_bootstrap(b + 0.5, b)
    assert contrast.low == pytest.approx(0.5)
    assert contrast.high == pytest.approx(0.5)


def test_seed_interval_is_students_t():
    values = np.array([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    interval = seed_interval(values)
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


def test_holm_known_answer_and_missing_values():
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005, np.nan]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02, np.nan])


def test_verdict_needs_the_adjusted_p_as_well():
    contrast = Contrast(difference=1.0, low=0.5, high=1.5, n=10, p_value=0.02)
    assert verdict(contrast, adjusted_p=0.04) == "better"
    assert verdict(contrast, adjusted_p=0.06) == "not distinguishable"
    assert verdict(contrast, adjusted_p=float("nan")) == "not distinguishable"
    missing = Contrast(difference=None, low=None, high=None, n=0, reason="no item")
    assert verdict(missing) == "not distinguishable"
