"""N-gram scores on token ids: valid against the training text, distinct, repeated, entropy.

An n-gram is *valid* when the training text contains it. Human continuations do not reach 1 (they
say new things), so compare a score with theirs. Word soup fails here although MAUVE on pooled
embeddings forgives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyses.result import PerText

# Tokens whose n-grams are collected at once while an index is built.
_BLOCK_TOKENS = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramIndex:
    """All n-grams of a training text, exact, for any vocabulary size.

    An n-gram's key is (rank of its first n - 1 tokens among the known ones) * vocab_size + its
    last token, so that keys of every order fit in int64 without hashing.

    Attributes:
        vocab_size: Number of token ids.
        keys: Order n -> sorted distinct keys, int64, for n = 2 up to the highest order.
    """

    vocab_size: int
    keys: Mapping[int, np.ndarray]

    @property
    def orders(self) -> tuple[int, ...]:
        return tuple(self.keys)

    def valid(self, token_ids: np.ndarray) -> dict[int, np.ndarray]:
        """For each order n, which of the len - n + 1 n-grams of one text are known, bool."""
        return {n: ranks >= 0 for n, ranks in _ranks(token_ids, self.keys, self.vocab_size).items()}


def build_ngram_index(
    sequences: Sequence[np.ndarray], *, vocab_size: int, max_order: int = 4
) -> NgramIndex:
    """Collect the n-grams of order 2 to `max_order` of training sequences.

    One pass per order, in blocks; memory is 8 bytes for each distinct n-gram plus one block.

    Args:
        sequences: Token ids of each text, (n_i,) int in [0, vocab_size), without padding.
        vocab_size: Number of token ids.
        max_order: Highest n.

    Raises:
        ValueError: If an id lies outside [0, vocab_size) or an order is below 2.
    """
    if max_order < 2:
        raise ValueError(f"max_order must be >= 2, got {max_order}")
    keys: dict[int, np.ndarray] = {}
    for order in range(2, max_order + 1):
        found = np.empty(0, dtype=np.int64)
        for flat, inside in _joined_blocks(sequences, vocab_size):
            fresh = _keys_of_order(flat, inside, order, keys, vocab_size)
            found = np.union1d(found, fresh)
        keys[order] = found
    return NgramIndex(vocab_size=vocab_size, keys=keys)


def valid_ngram_scores(texts: Sequence[np.ndarray], index: NgramIndex) -> PerText:
    """Share of each text's n-grams that the training text holds, in [0, 1], for each order.

    A text without tokens scores 0; one of 1 to n - 1 tokens has no n-gram and is NaN, counted
    in `detail`.

    Args:
        texts: Token ids of each text, (n_i,) int, without padding.
        index: The training text's n-grams.

    Raises:
        ValueError: If an id lies outside the index's vocabulary.
    """
    ids = [_checked(text, index.vocab_size) for text in texts]
    known = [index.valid(text) for text in ids]
    empty = np.array([text.size == 0 for text in ids], dtype=bool)
    values, detail = {}, {"num_empty": int(empty.sum())}
    for order in index.orders:
        shares = np.array([_mean(row[order]) for row in known], dtype=np.float64)
        shares[empty] = 0.0
        values[f"valid_{order}gram"] = shares
        detail[f"num_shorter_than_{order}"] = int(np.isnan(shares).sum())
    return PerText(values=values, detail=detail)


def diversity_scores(texts: Sequence[np.ndarray], orders: Sequence[int] = (1, 2, 3, 4)) -> PerText:
    """Distinct n-grams, repetition and unigram entropy, per text and pooled.

    Per text: `distinct_n` = distinct n-grams / n-grams, `repetition` = 1 - distinct_4 (or the
    highest order given), `unigram_entropy` in nats of the text's own tokens. `detail` has the
    pooled forms over all texts, which texts that all say the same cannot fool. A text too short
    for an n-gram is NaN.

    Source: Li et al. 2016, arXiv 1510.03055 (distinct-n); Welleck et al. 2020, arXiv
    1908.04319 (seq-rep-n).
    """
    if not orders or min(orders) < 1:
        raise ValueError(f"orders must be >= 1, got {tuple(orders)}")
    ids = [np.asarray(text, dtype=np.int64) for text in texts]
    values, pooled = {}, {}
    for order in orders:
        grams = [_windows(text, order) for text in ids]
        values[f"distinct_{order}"] = np.array([_distinct(g) for g in grams], dtype=np.float64)
        pooled[f"distinct_{order}"] = _distinct(np.concatenate(grams)) if grams else np.nan
    values["repetition"] = 1.0 - values[f"distinct_{max(orders)}"]
    values["unigram_entropy"] = np.array([_entropy(text) for text in ids], dtype=np.float64)
    pooled["unigram_entropy"] = _entropy(np.concatenate(ids)) if ids else np.nan
    lengths = np.array([text.size for text in ids], dtype=np.float64)
    values["length"] = lengths
    return PerText(values=values, detail={"pooled": pooled, "num_empty": int((lengths == 0).sum())})


def _joined_blocks(
    sequences: Sequence[np.ndarray], vocab_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (flat ids, number of tokens left in the own text including this one) in blocks."""
    block: list[np.ndarray] = []
    size = 0
    for sequence in sequences:
        block.append(_checked(sequence, vocab_size))
        size += block[-1].size
        if size >= _BLOCK_TOKENS:
            yield _joined(block)
            block, size = [], 0
    if block:
        yield _joined(block)


def _joined(block: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    left = [np.arange(sequence.size, 0, -1) for sequence in block]
    return np.concatenate(block), np.concatenate(left)


def _keys_of_order(
    flat: np.ndarray,
    left: np.ndarray,
    order: int,
    keys: Mapping[int, np.ndarray],
    vocab_size: int,
) -> np.ndarray:
    """Distinct keys of one order in one block; all shorter prefixes are known by then."""
    prefix = flat[: max(flat.size - order + 1, 0)].copy()
    for n in range(2, order):
        # Windows across two texts may be unknown (rank -1); they are cut away below.
        prefix = _rank_in(keys[n], prefix * vocab_size + flat[n - 1 :][: prefix.size])
    inside = left[: prefix.size] >= order
    last = flat[order - 1 :]
    return np.unique(prefix[inside] * vocab_size + last[inside])


def _ranks(
    token_ids: np.ndarray, keys: Mapping[int, np.ndarray], vocab_size: int
) -> dict[int, np.ndarray]:
    """Rank of every n-gram of one text in the index, -1 where it is unknown."""
    ranks, prefix = {}, token_ids
    for order, known in keys.items():
        size = max(token_ids.size - order + 1, 0)
        prefix = prefix[:size]
        prefix = _rank_in(known, prefix * vocab_size + token_ids[order - 1 :][:size])
        ranks[order] = prefix
    return ranks


def _rank_in(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Position of `wanted` in sorted `known`, -1 where absent.

    The key of an unknown prefix (rank -1) is negative and so never found.
    """
    if known.size == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    return np.where(known[place] == wanted, place, -1)


def _checked(text: np.ndarray, vocab_size: int) -> np.ndarray:
    ids = np.asarray(text)
    if ids.size == 0:
        return np.empty(0, dtype=np.int64)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"token ids must be (n,) integers, got {ids.dtype} {ids.shape}")
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(f"token ids must lie in [0, {vocab_size}), got {ids.min()}..{ids.max()}")
    return ids.astype(np.int64)


def _windows(text: np.ndarray, order: int) -> np.ndarray:
    if text.size < order:
        return np.empty((0, order), dtype=np.int64)
    return np.lib.stride_tricks.sliding_window_view(text, order)


def _distinct(grams: np.ndarray) -> float:
    return len(np.unique(grams, axis=0)) / len(grams) if len(grams) else np.nan


def _entropy(text: np.ndarray) -> float:
    if text.size == 0:
        return np.nan
    share = np.unique(text, return_counts=True)[1] / text.size
    return float(-(share * np.log(share)).sum())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else np.nan
