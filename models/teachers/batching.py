"""Length-sorted, padded batches of tokenised texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.teachers.backbone import TokenisedText


def chunks(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive pieces of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def longest_first(tokenised: Sequence[TokenisedText]) -> list[int]:
    """Indices from the longest to the shortest text, ties in their own order."""
    return np.argsort([-len(text.token_ids) for text in tokenised], kind="stable").tolist()


def is_content(text: TokenisedText) -> np.ndarray:
    """(n,) bool: tokens that stand for at least one character of the text."""
    return text.offsets[:, 1] > text.offsets[:, 0]


def content_mask(tokenised: Sequence[TokenisedText], length: int) -> Tensor:
    """(B, length) bool form of `is_content`."""
    keep = torch.zeros(len(tokenised), length, dtype=torch.bool)
    for row, text in enumerate(tokenised):
        keep[row, : len(text.token_ids)] = torch.from_numpy(is_content(text))
    return keep


def padded(tokenised: Sequence[TokenisedText], pad_id: int) -> tuple[Tensor, Tensor]:
    """Right-padded token ids (B, L) int64 and mask (B, L) bool; L is at least 1."""
    length = max([1, *(len(text.token_ids) for text in tokenised)])
    token_ids = torch.full((len(tokenised), length), pad_id, dtype=torch.long)
    mask = torch.zeros(len(tokenised), length, dtype=torch.bool)
    for row, text in enumerate(tokenised):
        token_ids[row, : len(text.token_ids)] = torch.from_numpy(text.token_ids)
        mask[row, : len(text.token_ids)] = True
    return token_ids, mask
