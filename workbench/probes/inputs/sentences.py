"""Sentences of tokenised texts, found by their punctuation tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TERMINATORS = frozenset(".!?")


def sentence_numbers(token_ids: np.ndarray, mask: np.ndarray, pieces: Sequence[str]) -> np.ndarray:
    """Number each token's sentence within its text.

    A new sentence starts at the first token with a letter or digit after a punctuation token that
    contains `.`, `!` or `?`. A closing quote therefore stays with the sentence that it closes. A
    full stop inside an abbreviation or a number also counts.

    Args:
        token_ids: (B, L) int64.
        mask: (B, L) bool, True = a real token; real tokens come first.
        pieces: the text of each token id.

    Returns:
        (B, L) int64 from 0, -1 at padding.
    """
    wordy = np.array([any(c.isalnum() for c in piece) for piece in pieces], bool)
    closing = ~wordy & np.array([bool(TERMINATORS & set(piece)) for piece in pieces], bool)
    numbers = np.full(token_ids.shape, -1, np.int64)
    for row, (ids, real) in enumerate(zip(token_ids, mask, strict=True)):
        number, ended = 0, False
        for column in np.flatnonzero(real):
            if ended and wordy[ids[column]]:
                number, ended = number + 1, False
            numbers[row, column] = number
            ended = ended or bool(closing[ids[column]])
    return numbers
