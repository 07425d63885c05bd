"""Text that is right as far as n words reach: random chains over a training text's n-grams.

Each next token is one that follows the same n - 1 tokens somewhere in the training text, so every
n-gram is a real one and nothing holds the whole together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Positions of the training text that a chain draws from; more would only cost memory.
_MOST_TOKENS = 2_000_000


class NgramChain:
    """A chain of one order over training sequences, each followed by an end-of-text token.

    Args:
        sequences: Token ids of each text, (n_i,) int in [0, vocab_size), without padding.
        vocab_size: Number of token ids.
        eot_id: The end-of-text token.
        order: n: a token depends on the n - 1 tokens before it.

    Raises:
        ValueError: If the order is below 2, there is no text, or keys of this order pass int64.
    """

    def __init__(
        self, sequences: Sequence[np.ndarray], *, vocab_size: int, eot_id: int, order: int
    ) -> None:
        if order < 2:
            raise ValueError(f"order must be >= 2, got {order}")
        if vocab_size ** (order - 1) >= 2**63:
            raise ValueError(f"order {order} is too high for {vocab_size} token ids")
        self._vocab_size, self._eot_id, self._order = vocab_size, eot_id, order
        parts: list[np.ndarray] = []
        size = 0
        for sequence in sequences:
            parts += [np.asarray(sequence, np.int64), np.array([eot_id])]
            size += len(sequence) + 1
            if size > _MOST_TOKENS:
                break
        if not parts:
            raise ValueError("an n-gram chain needs at least 1 text, got 0")
        self._flat = np.concatenate(parts)[:_MOST_TOKENS]
        # Length of the context -> its keys in order, and where in the text each one starts.
        self._contexts = {length: self._sorted(length) for length in range(1, order)}

    def continuations(
        self, prompts: Sequence[np.ndarray], longest: Sequence[int], rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Go on from each prompt until the end of the text, or its greatest length.

        A context that the training text lacks is shortened from its far end, at last to nothing.

        Args:
            prompts: Token ids (m_i,) that come before each continuation.
            longest: Greatest number of tokens of each continuation.
            rng: Draws the tokens.

        Returns:
            Token ids (k_i,) int64 of each continuation, without end-of-text.
        """
        written = []
        for prompt, most in zip(prompts, longest, strict=True):
            ids = list(np.asarray(prompt, np.int64)[1 - self._order :])
            start = len(ids)
            while len(ids) - start < most and (token := self._next(ids, rng)) != self._eot_id:
                ids.append(token)
            written.append(np.array(ids[start:], np.int64))
        return written

    def _next(self, ids: Sequence[int], rng: np.random.Generator) -> int:
        for length in range(min(len(ids), self._order - 1), 0, -1):
            keys, starts = self._contexts[length]
            key = 0
            for token in ids[len(ids) - length :]:
                key = key * self._vocab_size + int(token)
            first, last = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
            if last > first:
                return int(self._flat[starts[rng.integers(first, last)] + length])
        return int(self._flat[rng.integers(len(self._flat))])

    def _sorted(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        keys = np.zeros(max(len(self._flat) - length, 0), np.int64)
        for shift in range(length):
            keys = keys * self._vocab_size + self._flat[shift : shift + len(keys)]
        order = np.argsort(keys, kind="stable")
        return keys[order], order
