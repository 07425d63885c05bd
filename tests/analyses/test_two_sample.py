"""Classifier and energy two-sample tests: chance for equal samples, far from it for others."""

import numpy as np
import pytest

from analyses.texts.c2st import c2st
from analyses.texts.energy import energy_contrast, energy_distance

N, F = 120, 16


def sample(seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((N, F)) + shift).astype(np.float32)


@pytest.mark.parametrize("test", [c2st, energy_distance])
def test_equal_distributions_lie_at_chance(test):
    result = test(sample(0), sample(1), featurizer="x")
    assert result.low <= result.chance <= result.high
    assert result.n == N
    assert result.higher_is_better is False
    assert result.detail["null"].p_value > 0.05


@pytest.mark.parametrize("test", [c2st, energy_distance])
def test_a_shift_is_seen_and_a_larger_one_more(test):
    small, large = (test(sample(0), sample(1, shift), featurizer="x") for shift in (0.5, 2.0))
    assert small.low > small.chance
    assert large.score > small.score
    assert small.detail["null"].p_value < 0.01


def test_energy_equals_the_formula():
    human, written = sample(0), sample(1, 0.4)
    pooled = np.vstack([human, written]).astype(np.float64)
    rows = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    total = 0.0
    for i in range(N):
        for j in range(N):
            if i == j:
                continue
            x_i, x_j, y_i, y_j = rows[i], rows[j], rows[N + i], rows[N + j]
            across = np.linalg.norm(x_i - y_j) + np.linalg.norm(x_j - y_i)
            total += across - np.linalg.norm(x_i - x_j) - np.linalg.norm(y_i - y_j)
    result = energy_distance(human, written, featurizer="x")
    assert result.detail["distance"] == pytest.approx(total / (N * (N - 1)))


def test_energy_is_calibrated():
    scores = [energy_distance(sample(2 * i), sample(2 * i + 1), featurizer="x") for i in range(40)]
    values = np.array([result.score for result in scores])
    assert abs(values.mean()) < 0.5
    assert 0.6 < values.std() < 1.5


def test_c2st_does_not_learn_from_the_prompt_it_is_tested_on():
    # Both texts of a prompt share a direction of their own; a classifier that saw one of them
    # while testing the other would be wrong every time.
    rng = np.random.default_rng(0)
    shared = 5 * np.eye(N) + 0.01 * rng.standard_normal((N, N))
    result = c2st(shared, shared + 0.01 * rng.standard_normal((N, N)), featurizer="x")
    assert 0.35 < result.score < 0.65


def test_copies_are_chance():
    human = sample(0)
    assert c2st(human, human, featurizer="x").score == pytest.approx(0.5)


def test_empty_texts_are_found_out():
    human, written = sample(0), sample(1)
    empty = np.arange(N) < N // 2
    written[empty] = np.nan
    some = c2st(human, written, featurizer="x", empty=empty)
    none = c2st(human, sample(1), featurizer="x")
    assert some.score > none.score + 0.05
    assert some.detail["num_empty"] == N // 2
    assert energy_distance(human, written, featurizer="x", empty=empty).score > 2
    every = c2st(human, written, featurizer="x", empty=np.ones(N, bool))
    assert every.score is None
    assert "fill 5 folds" in every.reason


def test_contrast_is_the_difference_of_the_scores():
    human, near, far = sample(0), sample(1, 0.3), sample(2, 0.8)
    contrast = energy_contrast(human, far[None], near[None])
    scores = [energy_distance(human, rows, featurizer="x").score for rows in (far, near)]
    assert contrast.difference == pytest.approx(scores[0] - scores[1])
    assert contrast.low > 0
    assert contrast.p_value < 0.01
    reverse = energy_contrast(human, near[None], far[None])
    assert reverse.difference == pytest.approx(-contrast.difference)
    same = energy_contrast(human, near[None], near[None])
    assert same.difference == 0
