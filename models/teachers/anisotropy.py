"""How far teacher states are from using their space evenly: a report, not a transformation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Anisotropy:
    """Evenness of a cloud of states.

    Args:
        mean_cosine: Mean cosine of random pairs, 0 = isotropic, 1 = one direction.
        mean_cosine_centred: The same after subtracting the mean state.
        top1_energy: Share of the mean squared norm in the strongest dimension, in [1/W, 1].
        top4_energy: Share in the four strongest dimensions.
        effective_rank: (sum l)^2 / sum l^2 over eigenvalues l of the covariance, in [1, W];
            0 when all states are equal.
        num_states: Number of states measured.
    """

    mean_cosine: float
    mean_cosine_centred: float
    top1_energy: float
    top4_energy: float
    effective_rank: float
    num_states: int


def anisotropy(states: Tensor, seed: int = 0, num_pairs: int = 20_000) -> Anisotropy:
    """Measure the anisotropy of `states`; O(n W^2) for the covariance.

    Args:
        states: (n, W), valid rows only, n >= 2.
        seed: Of the random pairs.
        num_pairs: Pairs of different states, drawn with replacement.

    Raises:
        ValueError: fewer than two states.

    Source: Ethayarajh 2019, arXiv:1909.00512, self-similarity of random tokens.
    """
    n = len(states)
    if n < 2:
        raise ValueError(f"anisotropy needs at least 2 states, got {n}")
    states = states.double()
    generator = torch.Generator().manual_seed(seed)
    left = torch.randint(n, (num_pairs,), generator=generator)
    right = (left + torch.randint(1, n, (num_pairs,), generator=generator)) % n
    centred = states - states.mean(dim=0)
    energy = states.square().mean(dim=0).sort(descending=True).values
    energy = energy / energy.sum().clamp(min=torch.finfo(torch.float64).tiny)
    covariance = centred.T @ centred
    spread = covariance.square().sum()
    return Anisotropy(
        mean_cosine=_mean_cosine(states, left, right),
        mean_cosine_centred=_mean_cosine(centred, left, right),
        top1_energy=float(energy[:1].sum()),
        top4_energy=float(energy[:4].sum()),
        effective_rank=float(covariance.trace().square() / spread) if spread > 0 else 0.0,
        num_states=n,
    )


def _mean_cosine(states: Tensor, left: Tensor, right: Tensor) -> float:
    directions = F.normalize(states, dim=1)
    return float((directions[left] * directions[right]).sum(dim=1).mean())
