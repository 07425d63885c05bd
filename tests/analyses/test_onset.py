"""When a label becomes readable: the step comes back, pairs are paired, no rise is no onset."""

import numpy as np
import pytest

from analyses.paths.onset import OnsetConfig, ReadingCurve, compare_onsets
from analyses.statistics.intervals import BootstrapConfig

STEPS = np.array([0, 3, 7, 15, 31, 63])
CONFIG = OnsetConfig(bootstrap=BootstrapConfig(num_resamples=400))


def curve(accuracy, *, seed=0, texts=400, steps=STEPS, bar=0.3):
    """Readings whose mean at each step is `accuracy`; a text read once stays read."""
    threshold = np.random.default_rng(seed).permutation((np.arange(texts) + 0.5) / texts)
    hits = (threshold[None] < np.asarray(accuracy)[:, None]).astype(float)
    low = hits.mean(axis=1) - 0.05
    return ReadingCurve(steps=steps, hits=hits, rows=np.ones(texts), low=low, bar=bar)


def test_half_step_of_a_straight_rise_is_in_the_middle():
    rise = curve(np.linspace(0.2, 0.7, 6))
    found = compare_onsets([rise], [rise], CONFIG)
    # Accuracy is a line over log2(1 + step), 0 to 6 but for its first piece of 2: level .45.
    assert found.a.step == pytest.approx(2**3.5 - 1, rel=1e-6)
    assert found.ratio == pytest.approx(1.0)
    assert found.order == "not distinguishable"


def test_the_arm_that_rises_first_is_earlier_and_the_other_later():
    early = curve([0.2, 0.5, 0.7, 0.8, 0.8, 0.8])
    late = curve([0.2, 0.2, 0.2, 0.3, 0.6, 0.8])
    found = compare_onsets([early], [late], CONFIG)
    assert found.order == "earlier"
    assert found.high is not None
    assert found.high < 1
    assert compare_onsets([late], [early], CONFIG).order == "later"
    assert found.a.low <= found.a.step <= found.a.high


def test_noise_alone_is_not_distinguishable():
    a = curve([0.2, 0.3, 0.42, 0.55, 0.66, 0.7], seed=1, texts=60)
    b = curve([0.2, 0.32, 0.4, 0.56, 0.64, 0.7], seed=2, texts=60)
    assert compare_onsets([a], [b], CONFIG).order == "not distinguishable"


def test_arms_are_held_against_one_level():
    # Both take the same way, one goes on: by its own half it would be the later one.
    low = curve([0.2, 0.3, 0.4, 0.4, 0.4, 0.4])
    high = curve([0.2, 0.3, 0.4, 0.6, 0.8, 0.9])
    found = compare_onsets([high], [low], CONFIG)
    assert found.a.step == pytest.approx(found.b.step)
    assert found.order == "not distinguishable"


def test_without_a_rise_there_is_no_onset():
    flat = curve([0.5] * 6)
    rise = curve(np.linspace(0.5, 0.9, 6))
    found = compare_onsets([flat], [rise], CONFIG)
    assert (found.a.step, found.ratio, found.order) == (None, None, "never rises")
    assert compare_onsets([rise], [flat], CONFIG).order == "rises alone"
    assert compare_onsets([flat], [flat], CONFIG).order == "not distinguishable"
    assert "no level to which both arms" in found.a.reason


def test_seeds_widen_the_interval():
    def arm(shift, seeds):
        return [
            curve(0.2 + 0.5 * np.clip((np.log2(1 + STEPS) - s - shift) / 3, 0, 1)) for s in seeds
        ]

    one = compare_onsets(arm(0, [0]), arm(0.5, [0]), CONFIG)
    varied = compare_onsets(arm(0, [0, 1, 2]), arm(0.5, [1, 0, 2.5]), CONFIG)
    assert one.order == "earlier"
    assert varied.num_seeds == 3
    assert varied.high - varied.low > one.high - one.low
    assert varied.order == "not distinguishable"


def test_clear_step_is_the_first_that_is_never_taken_back():
    readings = curve([0.1, 0.5, 0.2, 0.5, 0.6, 0.7])
    assert readings.clear_step == 15
    assert curve([0.9] * 6).clear_step == 0
    assert curve([0.9, 0.9, 0.9, 0.9, 0.9, 0.2]).clear_step is None
