"""Alignment by character offsets against the definition, token by token."""

import numpy as np
import pytest
import torch

from models.teachers.alignment import batch_overlaps, mean_over_ranges, overlaps


def random_cut(rng: np.random.Generator, length: int) -> np.ndarray:
    """Offsets of random pieces of a text, some characters left out between them."""
    points = np.unique(rng.integers(0, length + 1, size=12))
    spans = np.stack([points[:-1], points[1:]], axis=1)
    return spans[rng.random(len(spans)) < 0.8]


@pytest.mark.parametrize("seed", range(20))
def test_ranges_hold_exactly_the_overlapping_tokens(seed):
    rng = np.random.default_rng(seed)
    teacher, caller = random_cut(rng, 40), random_cut(rng, 40)
    for (start, end), first, last in zip(caller, *overlaps(teacher, caller), strict=True):
        expected = [j for j, (s, e) in enumerate(teacher) if min(e, end) > max(s, start)]
        assert list(range(first, last)) == expected


def test_a_character_split_over_several_tokens_takes_all_of_them():
    teacher = np.array([[0, 1], [1, 2], [1, 2], [1, 2], [2, 3]])
    first, last = overlaps(teacher, np.array([[1, 2], [0, 3], [2, 2], [3, 9]]))
    assert list(zip(first, last, strict=True))[:2] == [(1, 4), (0, 5)]
    assert (first[2:] == last[2:]).all()  # an empty token and one past the end


def test_offsets_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="rise"):
        overlaps(np.array([[3, 4], [0, 1]]), np.array([[0, 1]]))


def test_means_are_exact_and_empty_ranges_zero():
    states = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 10.0]])
    means = mean_over_ranges(states, np.array([0, 1, 2, 1]), np.array([1, 3, 2, 2]))
    assert means.tolist() == [[1.0, 2.0], [4.0, 8.0], [0.0, 0.0], [3.0, 6.0]]


def test_batch_ranges_are_shifted_to_the_text_they_belong_to():
    spans = np.array([[0, 2], [2, 4]])
    first, last = batch_overlaps([spans, spans[:1], spans], [spans[1:], spans[:0], spans])
    assert first.tolist() == [1, 3, 4]
    assert last.tolist() == [2, 4, 5]
