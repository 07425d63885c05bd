"""Standardise teacher states before anything is aligned with them.

In GPT-2-like models a handful of dimensions carry most of the energy, so that the cosine of any
two states is high and a loss on cosines learns one constant direction. Scaling every dimension
to mean 0 and standard deviation 1, over the corpus or within each text, removes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.configs.checks import check_choice
from models.configs.teacher import Standardisation

# A dimension whose std is below this share of the largest one is constant up to rounding.
RELATIVE_FLOOR = 1e-6
EPSILON = 1e-6


class RunningMoments:
    """Mean and standard deviation of every dimension, from batches, in float64.

    Source: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm".

    Args:
        width: Number of dimensions.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self._squares = torch.zeros(width, dtype=torch.float64)

    def update(self, states: Tensor) -> None:
        """Take in states (n, W), valid rows only."""
        n = len(states)
        if n == 0:
            return
        states = states.double()
        mean = states.mean(dim=0)
        shift = mean - self.mean
        total = self.count + n
        self._squares += (states - mean).square().sum(dim=0)
        self._squares += shift.square() * (self.count * n / total)
        self.mean += shift * (n / total)
        self.count = total

    @property
    def std(self) -> Tensor:
        """(W,) float64 standard deviation, dividing by the number of states."""
        return (self._squares / max(self.count, 1)).sqrt()


@dataclass(frozen=True, slots=True)
class Standardiser:
    """The fixed map from raw to standardised teacher states.

    Args:
        mode: `dimension`, `sequence` or `none`.
        mean: (W,) float32, over the corpus; used by `dimension`.
        std: (W,) float32, positive; used by `dimension`.
    """

    mode: str
    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        check_choice("standardise", self.mode, Standardisation)

    @classmethod
    def from_moments(cls, mode: str, moments: RunningMoments) -> Standardiser:
        """From the moments of the training texts; a constant dimension keeps a std of 1.

        Raises:
            ValueError: no state was seen.
        """
        if moments.count == 0:
            raise ValueError("teacher states: none is valid, so there is nothing to standardise")
        std = moments.std
        constant = std <= RELATIVE_FLOOR * std.max()
        return cls(mode, moments.mean.float(), torch.where(constant, 1.0, std).float())

    def apply(self, states: Tensor, valid: Tensor) -> Tensor:
        """Standardise, with zeros where `valid` is False.

        Args:
            states: (..., L, W) float32, L the tokens of one text.
            valid: (..., L) bool.

        Returns:
            (..., L, W) float32. A text with one valid token is all zeros under `sequence`.
        """
        states = states.float().masked_fill(~valid[..., None], 0.0)
        if self.mode == "dimension":
            states = (states - self.mean.to(states.device)) / self.std.to(states.device)
        elif self.mode == "sequence":
            states = _within_text(states, valid)
        return states.masked_fill(~valid[..., None], 0.0)

    def save(self, path: Path) -> None:
        from safetensors.torch import save_file

        save_file({"mean": self.mean, "std": self.std}, path, metadata={"mode": self.mode})

    @classmethod
    def load(cls, path: Path) -> Standardiser:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            mode = (file.metadata() or {}).get("mode", "")
            return cls(mode, file.get_tensor("mean"), file.get_tensor("std"))


def _within_text(states: Tensor, valid: Tensor) -> Tensor:
    """z-score every dimension over the valid tokens of each text; invalid rows are zero already."""
    counts = valid.sum(dim=-1)[..., None, None].clamp(min=1)
    mean = states.sum(dim=-2, keepdim=True) / counts
    centred = (states - mean).masked_fill(~valid[..., None], 0.0)
    variance = centred.square().sum(dim=-2, keepdim=True) / counts
    return centred / (variance + EPSILON**2).sqrt()
