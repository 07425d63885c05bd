"""Readings of a trajectory: commit steps counted by hand, and curves that rise when told to."""

import numpy as np
import pytest

from analyses.paths.trajectory_reading import (
    commitment,
    fluency_against_fidelity,
)


def test_commit_steps_are_counted_by_hand():
    # One text, four tokens, five readings.
    ids = np.array([[[7, 1, 2, 9]], [[7, 5, 2, 8]], [[7, 1, 3, 9]], [[7, 1, 4, 8]], [[7, 1, 4, 9]]])
    result = commitment(ids)
    np.testing.assert_allclose(result.per_item["commit_step"], [0.0, 0.5, 0.75, 1.0])
    assert result.score == pytest.approx(2.25 / 4)
    np.testing.assert_allclose(result.detail["agreement"], [0.75, 0.25, 0.75, 0.75, 1.0])


def test_texts_that_settle_early_beat_chance_and_noise_does_not():
    rng = np.random.default_rng(0)
    final = rng.integers(50, size=(40, 12))
    early = np.stack([rng.integers(50, size=(40, 12)), final, final, final, final])
    settled = commitment(early)
    assert settled.score == pytest.approx(0.25, abs=0.02)
    assert settled.high < settled.chance - 0.4
    noise = commitment(rng.integers(50, size=(5, 40, 12)))
    assert noise.score == pytest.approx(noise.chance, abs=0.03)


def test_padding_does_not_count_and_text_order_does_not_matter():
    rng = np.random.default_rng(0)
    ids = rng.integers(3, size=(6, 20, 8))
    mask = np.arange(8) < rng.integers(1, 8, (20, 1))
    base = commitment(ids, mask)
    dirty = np.where(mask, ids, rng.integers(100, 200, size=ids.shape))
    assert commitment(dirty, mask).score == base.score
    assert commitment(ids[:, ::-1], mask[::-1]).score == pytest.approx(base.score)
    assert base.n == mask.sum()
    assert commitment(ids, np.zeros_like(mask)).score is None


def curve(rise_at, steps=11, n=60, seed=0, height=1.0):
    """Per-text curves that jump from 0 to `height` at step `rise_at`, with noise."""
    rng = np.random.default_rng(seed)
    mean = np.where(np.arange(steps) >= rise_at, height, 0.0)
    return mean[:, None] + 0.05 * rng.standard_normal((steps, n))


def test_the_lag_is_the_difference_of_the_rises():
    result = fluency_against_fidelity(curve(3), curve(7, seed=1))
    assert result.score == pytest.approx(0.4)
    assert result.low <= 0.4 <= result.high
    assert result.low > 0.0
    assert result.detail["fluency"]["rise_step"] == pytest.approx(0.3)
    swapped = fluency_against_fidelity(curve(7, seed=1), curve(3))
    assert swapped.score == pytest.approx(-0.4)


def test_curves_that_rise_together_have_no_lag():
    result = fluency_against_fidelity(curve(5), 20.0 * curve(5, seed=2) - 3.0)
    assert result.score == 0.0
    assert result.low <= 0.0 <= result.high


def test_texts_without_expected_facts_are_left_out():
    fidelity = curve(7, seed=1)
    fidelity[:, :30] = np.nan
    result = fluency_against_fidelity(curve(3), fidelity)
    assert result.score == pytest.approx(0.4)
    assert result.detail["fidelity"]["mean"][0].n == 30


def test_fidelity_that_never_rises_is_undefined_and_keeps_its_curves():
    falling = -curve(7)
    falling[0] = 1.0
    result = fluency_against_fidelity(curve(3), falling)
    assert result.score is None
    assert result.reason == "fidelity never rises above its start"
    assert len(result.to_json()["detail"]["fidelity"]["mean"]) == 11
