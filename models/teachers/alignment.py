"""From the teacher's tokens to the caller's, by character offsets.

A caller's token takes the mean of all teacher tokens that share at least one character with
it; a token that shares none (past the teacher's maximum length, or dropped by its tokenizer)
is invalid. With equal tokenisation this is a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def overlaps(teacher: np.ndarray, caller: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last teacher token that overlaps each of the caller's tokens.

    Args:
        teacher: (m, 2) int64 character offsets, rising, none empty.
        caller: (n, 2) int64 character offsets.

    Returns:
        Two (n,) int64 arrays; first == last where nothing overlaps.

    Raises:
        ValueError: the teacher's offsets do not rise, or one is empty.
    """
    starts, ends = teacher[:, 0], teacher[:, 1]
    if (ends <= starts).any() or (np.diff(starts) < 0).any() or (np.diff(ends) < 0).any():
        raise ValueError("teacher token offsets must be non-empty and rise along the text")
    first = np.searchsorted(ends, caller[:, 0], side="right")
    last = np.searchsorted(starts, caller[:, 1], side="left")
    empty = (caller[:, 1] <= caller[:, 0]) | (last < first)
    return first, np.where(empty, first, last)


def mean_over_ranges(states: Tensor, first: np.ndarray, last: np.ndarray) -> Tensor:
    """Mean of `states[first[i]:last[i]]` for every i; zeros where the range is empty.

    Args:
        states: (m, W) float32.
        first: (n,) int64.
        last: (n,) int64.

    Returns:
        (n, W) float32.
    """
    lengths = last - first
    if (lengths == 1).all():  # the usual case: caller and teacher share the tokenizer
        return states[torch.from_numpy(first).to(states.device)]
    owners = np.repeat(np.arange(len(first)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = torch.from_numpy(np.repeat(first, lengths) + within).to(states.device)
    summed = states.new_zeros(len(first), states.shape[1])
    summed.index_add_(0, torch.from_numpy(owners).to(states.device), states[rows])
    counts = torch.from_numpy(np.maximum(lengths, 1)).to(states.device, states.dtype)
    return summed / counts[:, None]


def batch_overlaps(
    teacher: Sequence[np.ndarray], caller: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """`overlaps` of several texts at once, as ranges over the concatenated teacher tokens.

    Args:
        teacher: Offsets (m_i, 2) of every text.
        caller: Offsets (n_i, 2) of every text.

    Returns:
        Two (sum n_i,) int64 arrays.
    """
    bases = np.cumsum([0, *(len(offsets) for offsets in teacher)])
    ranges = [
        [bound + base for bound in overlaps(ours, theirs)]
        for ours, theirs, base in zip(teacher, caller, bases[:-1], strict=True)
    ]
    empty = np.zeros(0, dtype=np.int64)
    first = np.concatenate([empty, *(bounds[0] for bounds in ranges)])
    last = np.concatenate([empty, *(bounds[1] for bounds in ranges)])
    return first, last
