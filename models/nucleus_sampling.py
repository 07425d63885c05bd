"""Nucleus (top-p) sampling from given uniform numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_nucleus(logits: Tensor, nucleus_p: float, draws: Tensor) -> Tensor:
    """Sample from the smallest set of likeliest tokens whose probability reaches `nucleus_p`.

    Args:
        logits: (B, V).
        nucleus_p: In (0, 1]; 1 = the whole distribution.
        draws: (B,) uniform numbers in [0, 1), one per row.

    Returns:
        (B,) int64.

    Raises:
        ValueError: `nucleus_p` outside (0, 1].

    Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
    """
    if not 0 < nucleus_p <= 1:
        raise ValueError(f"nucleus_p must be in (0, 1], got {nucleus_p}")
    probabilities, token_ids = logits.double().softmax(dim=1).sort(dim=1, descending=True)
    before = probabilities.cumsum(dim=1) - probabilities
    in_nucleus = before < nucleus_p
    kept = torch.where(in_nucleus, probabilities, 0.0).cumsum(dim=1)
    threshold = draws.double()[:, None] * kept[:, -1:]
    chosen = torch.searchsorted(kept, threshold, right=True)
    # Rounding may put the threshold of a draw next to 1 on the total itself.
    last = in_nucleus.sum(dim=1, keepdim=True) - 1
    return token_ids.gather(1, torch.minimum(chosen, last)).squeeze(1)
