"""Batches: determined by seed and step, constant in size, fair over an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.batches import BatchConfig, BatchPlan, random_cuts

LENGTHS = np.random.default_rng(0).integers(1, 40, size=500)


def plan(seed: int = 0, lengths: np.ndarray = LENGTHS, **settings: int) -> BatchPlan:
    return BatchPlan(lengths, 40, BatchConfig(**{"batch_size": 16, **settings}), seed)


@pytest.mark.parametrize("multiple", [0, 8])
def test_a_step_needs_no_history(multiple):
    steps = [0, 30, 31, 62, 93, 5]
    straight = plan(bucket_multiple=multiple)
    for step in range(100):
        straight.batch(step)
    for step in steps:
        fresh = plan(bucket_multiple=multiple).batch(step)
        assert np.array_equal(fresh.indices, straight.batch(step).indices)
        assert fresh.length == straight.batch(step).length


@pytest.mark.parametrize("multiple", [0, 8])
def test_no_row_comes_twice_in_an_epoch(multiple):
    batches = plan(bucket_multiple=multiple)
    assert batches.steps_per_epoch == 31
    for epoch in range(2):
        steps = range(31 * epoch, 31 * (epoch + 1))
        rows = np.concatenate([batches.batch(step).indices for step in steps])
        assert len(np.unique(rows)) == len(rows) == 31 * 16


def test_seeds_and_epochs_differ_and_hashes_tell():
    assert plan(0).order_hash(40) == plan(0).order_hash(40)
    assert plan(0).order_hash(40) != plan(1).order_hash(40)
    assert plan(0).order_hash(40) != plan(0).order_hash(39)
    assert plan(0).order_hash(40) != plan(0, bucket_multiple=8).order_hash(40)
    assert not np.array_equal(plan().batch(0).indices, plan().batch(31).indices)


def test_widths_hold_the_rows_and_an_end_of_text():
    batches = plan(bucket_multiple=8)
    widths = []
    for step in range(31):
        batch = batches.batch(step)
        assert len(batch.indices) == 16
        assert batch.length % 8 == 0
        assert batch.length <= 40
        assert LENGTHS[batch.indices].max() < batch.length
        widths.append(batch.length)
    assert all(plan().batch(step).length == 40 for step in range(31))
    assert np.mean(widths) < 28  # rows of like length are together: 20 tokens on average
    assert widths != sorted(widths)


def test_a_row_as_long_as_the_window_takes_the_whole_window():
    assert BatchPlan(np.array([40]), 40, BatchConfig(bucket_multiple=8), 0).batch(0).length == 40


def test_fewer_rows_than_a_batch_repeat_evenly():
    batch = plan(lengths=np.array([3, 4, 5])).batch(7)
    assert np.bincount(batch.indices).tolist() in ([6, 5, 5], [5, 6, 5], [5, 5, 6])
    assert set(plan(lengths=np.array([3]), bucket_multiple=8).batch(2).indices) == {0}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(0, 99))
def test_cuts_leave_something_on_both_sides(lengths, seed):
    cuts = random_cuts(np.array(lengths), 0.0, 1.0, np.random.default_rng(seed))
    assert cuts.dtype == np.int64
    for length, cut in zip(lengths, cuts, strict=True):
        assert 1 <= cut <= max(1, length - 1)


def test_cuts_spread_over_the_shares_asked_for():
    cuts = random_cuts(np.full(4000, 100), 0.4, 0.6, np.random.default_rng(0))
    assert cuts.min() == 40
    assert cuts.max() == 60
    assert abs(cuts.mean() - 50) < 0.5
    half = random_cuts(np.array([10, 11, 1]), 0.5, 0.5, np.random.default_rng(0))
    assert half.tolist() == [5, 6, 1]
