"""Trajectories: straight lines, random walks, and distances to real latents."""

import numpy as np
import pytest

from analyses.paths.trajectory import (
    efficiency,
    off_manifold_distance,
    segment_ratio,
    straightness,
)

S, N, F = 20, 50, 16
SHAPES = [straightness, efficiency, segment_ratio]


def line(speeds=None, seed=0):
    rng = np.random.default_rng(seed)
    steps = np.ones(S) if speeds is None else np.asarray(speeds, dtype=float)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    return rng.standard_normal((N, F)) + walked[:, None, None] * rng.standard_normal((N, F))


def walk(seed=0):
    steps = np.random.default_rng(seed).standard_normal((S + 1, N, 400))
    return np.cumsum(steps, axis=0)


@pytest.mark.parametrize("measure", SHAPES)
def test_a_straight_even_line_scores_one(measure):
    result = measure(line())
    assert result.score == pytest.approx(1.0)
    assert result.low == pytest.approx(1.0)
    assert result.n == N


def test_an_uneven_line_is_straight_and_its_segment_ratio_is_known():
    speeds = np.arange(1, S + 1)
    assert straightness(line(speeds)).score == pytest.approx(1.0)
    assert efficiency(line(speeds)).score == pytest.approx(1.0)
    assert segment_ratio(line(speeds)).score == pytest.approx(S / speeds.mean())
    times = np.concatenate([[0.0], np.cumsum(speeds) / speeds.sum()])
    assert segment_ratio(line(speeds), times=times).score == pytest.approx(1.0)


def test_a_random_walk_has_the_known_shape_and_is_at_chance():
    bend, net = straightness(walk()), efficiency(walk())
    assert bend.score == pytest.approx(0.0, abs=0.01)
    assert bend.score == pytest.approx(bend.chance, abs=0.01)
    assert net.score == pytest.approx(1 / np.sqrt(S), rel=0.05)
    assert net.score == pytest.approx(net.chance, rel=0.05)


def test_lines_of_their_own_direction_are_far_above_the_scrambled_path():
    assert straightness(line()).chance < 0.4
    assert efficiency(line()).chance < 0.5


def test_there_and_back_again():
    out = np.concatenate([line()[:11], line()[9::-1]])
    assert efficiency(out).score == pytest.approx(0.0, abs=1e-9)
    assert straightness(out).score == pytest.approx((18 - 1) / 19)


@pytest.mark.parametrize("measure", SHAPES)
def test_trajectories_that_stand_still_are_left_out_or_undefined(measure):
    path = line()
    path[:, 3] = path[0, 3]
    result = measure(path)
    assert result.n == N - 1
    assert result.detail["still"] == 1
    assert measure(np.repeat(path[:1], 5, axis=0)).score is None


def test_real_latents_are_at_distance_one_and_copies_at_zero():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((600, 4))
    fresh = rng.standard_normal((600, 4))
    path = np.stack([8.0 + fresh, fresh])
    result = off_manifold_distance(path, real)
    assert result.score == pytest.approx(1.0, abs=0.2)
    assert result.score == pytest.approx(result.chance, abs=0.2)
    assert result.detail["curve"][0] > 10.0
    assert off_manifold_distance(np.stack([fresh, real]), real).score == 0.0


def test_points_off_a_curve_are_far_and_a_gaussian_of_equal_covariance_is_too():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 1000)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    on = np.column_stack([np.cos(angles + 0.01), np.sin(angles + 0.01)])
    good = off_manifold_distance(on[None], ring)
    bad = off_manifold_distance(0.5 * on[None], ring)
    assert good.high < 5.0 < good.chance
    assert bad.low > good.chance
    turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    moved = off_manifold_distance(3.0 * on[None] @ turned + 1.0, 3.0 * ring @ turned + 1.0)
    assert moved.score == pytest.approx(good.score, rel=1e-6)
