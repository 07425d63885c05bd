"""Reconstruction against a score, over the runs of several studies."""

import pytest

from workbench.report.predictors import reconstruction_correlation


def test_equal_orders_correlate_and_one_odd_arm_gives_no_interval():
    runs = [(f"arm-{arm}", arm / 16, float(arm)) for arm in range(16)]
    found = reconstruction_correlation(runs)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    assert (found.num_arms, found.num_runs, found.reason) == (16, 16, "")
    odd = [(arm, float(read > 0.9), score) for arm, read, score in runs]
    assert reconstruction_correlation(odd).reason == "all but a few arms are equal on one side"
    same = [(arm, 1.0, score) for arm, _, score in runs]
    assert reconstruction_correlation(same).reason == "one side is constant"
