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
