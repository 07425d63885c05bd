"""Cached teacher states, gathered for a batch of texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from data.corpus_store import Split
    from models.configs.teacher import TeacherConfig


class TeacherStates:
    """Memory-mapped states of one split, standardised as the teacher's config says.

    Args:
        directory: written by `prepare_teacher`.
        split_name: `train`, `valid` or `test`.
        split: the corpus split the states belong to.
        config: standardisation, and whether texts get the states of other texts.
    """

    def __init__(
        self, directory: Path, split_name: str, split: Split, config: TeacherConfig
    ) -> None:
        from models.teachers import Standardiser, derangement

        self._states = np.load(directory / f"{split_name}.npy", mmap_mode="r")
        self._valid = np.load(directory / f"{split_name}-valid.npy")
        self._lengths = np.asarray(split.lengths, np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._source = np.arange(len(split))
        if config.permuted:
            self._source = derangement(len(split), config.seed)
        stored = Standardiser.load(directory / "standardiser.safetensors")
        self._standardiser = replace(stored, mode=config.standardise)
        self.width = int(self._states.shape[1])

    def gather(self, indices: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
        """States of texts, padded.

        Args:
            indices: (B,) texts.
            length: L, the batch's padded length.

        Returns:
            (B, L, W) float32 states and (B, L) bool validity, False at padding and wherever the
            text (or, for a permuted teacher, the other text) has no state.
        """
        source = self._source[indices]
        covered = np.minimum(self._lengths[indices], self._lengths[source])
        column = np.arange(length)
        inside = column[None, :] < covered[:, None]
        rows = np.where(inside, self._starts[source][:, None] + column[None, :], 0)
        block = torch.from_numpy(np.asarray(self._states[rows.ravel()])).view(torch.bfloat16)
        states = block.view(len(indices), length, self.width).float()
        valid = torch.from_numpy(inside & self._valid[rows])
        return self._standardiser.apply(states, valid), valid
