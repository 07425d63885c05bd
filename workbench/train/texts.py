"""Texts cut into context and target, as tensors; shared by VAE, latents and samplers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from data.corpus_store import Split
    from workbench.config.sampling import ContextConfig


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Padded texts with their cuts.

    Attributes:
        token_ids: (B, L) int64, padded with end-of-text.
        mask: (B, L) bool, True = a real token.
        cuts: (B,) int64, number of context tokens.
    """

    token_ids: Tensor
    mask: Tensor
    cuts: Tensor

    @property
    def ctx_mask(self) -> Tensor:
        """(B, L) bool, True on context positions."""
        return torch.arange(self.token_ids.shape[1], device=self.cuts.device) < self.cuts[:, None]

    @property
    def segments(self) -> Tensor:
        """(B, L) int64: 0 context, 1 target; the encoder attends only within a segment."""
        return (~self.ctx_mask).long()

    def to(self, device: torch.device) -> TextBatch:
        """The same on `device`."""
        return TextBatch(self.token_ids.to(device), self.mask.to(device), self.cuts.to(device))


def load_texts(split: Split, indices: np.ndarray, length: int, cuts: np.ndarray) -> TextBatch:
    """Texts of a split padded to `length`, with the given cuts."""
    token_ids, mask = split.padded(indices, length)
    return TextBatch(torch.from_numpy(token_ids), torch.from_numpy(mask), torch.tensor(cuts))


def fixed_cuts(lengths: np.ndarray, config: ContextConfig, variant: int, seed: int) -> np.ndarray:
    """One cut per text, the same for every arm: number `variant` of `cuts_per_text`."""
    from data.batches import random_cuts

    rng = np.random.default_rng([seed, variant])
    return random_cuts(lengths, config.cut_low, config.cut_high, rng)


def middle_cuts(lengths: np.ndarray) -> np.ndarray:
    """Cuts in the middle of each text, for held-out prompts."""
    return np.maximum(1, np.asarray(lengths, np.int64) // 2)
