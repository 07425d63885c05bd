"""Batches in an order that a seed and a step number determine; nothing else need be stored.

An epoch is a random order of all rows. With bucketing, rows of like length are grouped within
stretches of that order, so that batches are narrow, and the batches are shuffled; the number of
rows in a batch never changes. Rows left over at an epoch's end are skipped, others each time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

_BATCHES_PER_POOL = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """How rows are put together.

    Attributes:
        batch_size: rows B in a batch.
        bucket_multiple: a batch is as wide as its longest row with an end-of-text, rounded up to
            a multiple of this; 0 makes every batch as wide as the window.
    """

    batch_size: int = 64
    bucket_multiple: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {self.batch_size}")
        if self.bucket_multiple < 0:
            raise ValueError(f"bucket_multiple must be >= 0, got {self.bucket_multiple}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one step: `indices` (B,) int64 and the width `length` of the batch."""

    indices: np.ndarray
    length: int


class BatchPlan:
    """The batch of every step.

    Args:
        lengths: (N,) tokens of each row, N >= 1.
        window: widest batch.
        seed: of the order.

    Raises:
        ValueError: when there are no rows, or a row is longer than the window.
    """

    def __init__(self, lengths: np.ndarray, window: int, config: BatchConfig, seed: int) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        if len(self._lengths) == 0:
            raise ValueError("0 texts to make batches of")
        if self._lengths.max() > window:
            raise ValueError(f"a row has {self._lengths.max()} tokens, the window {window}")
        self._window, self._config, self._seed = window, config, seed
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty((0, 0), dtype=np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; 1 where there are fewer rows than a batch holds."""
        return max(1, len(self._lengths) // self._config.batch_size)

    def batch(self, step: int) -> Batch:
        """Batch of a step, counted from 0; in a corpus smaller than a batch, rows repeat."""
        if step < 0:
            raise ValueError(f"step must be >= 0, got {step}")
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        indices = self._epoch[1][place]
        return Batch(indices, self._width(indices))

    def order_hash(self, num_steps: int) -> str:
        """SHA-256 over the rows and widths of the first `num_steps` batches."""
        digest = hashlib.sha256()
        for step in range(num_steps):
            batch = self.batch(step)
            digest.update(batch.indices.astype("<i8").tobytes())
            digest.update(batch.length.to_bytes(8, "little"))
        return digest.hexdigest()

    def _order(self, epoch: int) -> np.ndarray:
        """Rows of an epoch, (steps_per_epoch, B)."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, epoch])))
        num_rows = self.steps_per_epoch * self._config.batch_size
        order = np.resize(rng.permutation(len(self._lengths)), num_rows)
        if not self._config.bucket_multiple:
            return order.reshape(-1, self._config.batch_size)
        pool = np.arange(num_rows) // (_BATCHES_PER_POOL * self._config.batch_size)
        order = order[np.lexsort((self._lengths[order], pool))]
        return rng.permutation(order.reshape(-1, self._config.batch_size), axis=0)

    def _width(self, indices: np.ndarray) -> int:
        multiple = self._config.bucket_multiple
        if not multiple:
            return self._window
        longest = int(self._lengths[indices].max()) + 1
        return min(self._window, -(-longest // multiple) * multiple)


def random_cuts(
    lengths: np.ndarray, low: float, high: float, rng: np.random.Generator
) -> np.ndarray:
    """Number of context tokens of each row: a uniform share of its tokens.

    Args:
        lengths: (B,) tokens of each row, >= 1.
        low: least share; equal to `high`, every row is cut at that share.
        high: greatest share, in [low, 1].

    Returns:
        (B,) int64 in [1, length - 1], so that both sides have a token; 1 for a row of one token.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"0 <= low <= high <= 1 must hold, got {low} and {high}")
    lengths = np.asarray(lengths, dtype=np.int64)
    shares = rng.uniform(low, high, size=lengths.shape)
    return np.clip(np.rint(shares * lengths).astype(np.int64), 1, np.maximum(lengths - 1, 1))
