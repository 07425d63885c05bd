"""The `permuted` control: every text gets the teacher states of another text.

The statistics of the states stay, their relation to the text goes.
"""

from __future__ import annotations

import numpy as np


def derangement(num_texts: int, seed: int) -> np.ndarray:
    """A random cycle through all texts, so that no text keeps its own states.

    Returns:
        (N,) int64, `partner[i] != i`.

    Raises:
        ValueError: fewer than two texts.
    """
    if num_texts < 2:
        raise ValueError(f"permuted teacher states need at least 2 texts, got {num_texts}")
    order = np.random.default_rng(seed).permutation(num_texts)
    partner = np.empty(num_texts, dtype=np.int64)
    partner[order] = np.roll(order, -1)
    return partner


def permuted_rows(lengths: np.ndarray, seed: int) -> np.ndarray:
    """Where each token's state comes from when texts swap their states.

    Token j of text i takes state j of text partner[i], for texts stored one after another.

    Args:
        lengths: (N,) tokens of each text.
        seed: Of the derangement.

    Returns:
        (sum lengths,) int64 row numbers; -1 where the partner is too short.

    Raises:
        ValueError: fewer than two texts.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    partner = derangement(len(lengths), seed)
    starts = np.cumsum(lengths) - lengths
    position = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    rows = np.repeat(starts[partner], lengths) + position
    return np.where(position < np.repeat(lengths[partner], lengths), rows, -1)
