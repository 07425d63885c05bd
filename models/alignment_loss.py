"""How far latents are from the teacher's states: by a projection, or by the structure of a text.

Source: REPA, arXiv 2410.06940; Gram matrices of features, arXiv 2509.25253: a projection can fit
the teacher while the latents' own geometry stays another, equal cosines of all pairs cannot.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.configs.vae import VAELossConfig

EPSILON = 1e-6


def repa_weight_at(config: VAELossConfig, step: int) -> float:
    """Return the alignment's weight at `step`: linear warm-up, constant, linear decay, 0."""
    weight, stop = config.repa_weight, config.repa_stop_step
    if stop is not None and step >= stop:
        return 0.0
    if config.repa_warmup_steps:
        weight *= min(1.0, step / config.repa_warmup_steps)
    if stop is not None and config.repa_decay_steps:
        weight *= min(1.0, (stop - step) / config.repa_decay_steps)
    return weight


def masked_cosine(projected: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Compute the mean cosine over positions where `valid`; 0 where there is none.

    Args:
        projected: (B, L, W), carries the gradient.
        teacher: (B, L, W); no gradient, and rows outside `valid` may hold anything, even NaN.
        valid: (B, L) bool.
    """
    target = _only(teacher.detach(), valid)
    cosine = F.cosine_similarity(projected.float(), target.float(), dim=-1, eps=EPSILON)  # (B, L)
    return (cosine * valid).sum() / valid.sum().clamp_min(1)


def gram_error(student: Tensor, teacher: Tensor, valid: Tensor, texts: int = 1) -> Tensor:
    """Compute the mean squared difference of the cosines of all pairs of positions.

    Pairs are of one text, or of one of the groups of `texts` texts into which the batch is cut. The
    mean is over ordered pairs of two valid positions, then over groups that have a pair; 0 where
    none has. Deviation from the source: cosines for inner products, so that neither width nor
    scale matters.

    Args:
        student: (B, L, D), carries the gradient.
        teacher: (B, L, W); no gradient, and rows outside `valid` may hold anything, even NaN.
        valid: (B, L) bool.
        texts: size of a group; the last one may be smaller.
    """
    student, teacher, valid = (_grouped(rows, texts) for rows in (student, teacher, valid))
    difference = _cosines(student, valid) - _cosines(teacher.detach(), valid)  # (B, L, L)
    # A position's cosine with itself is 1 in both, but for rounding.
    squared = difference.square() * ~torch.eye(
        valid.shape[1], dtype=torch.bool, device=valid.device
    )
    counts = valid.sum(1)
    pairs = counts * (counts - 1)  # (B,)
    per_group = squared.sum((1, 2)) / pairs.clamp_min(1)
    return per_group.sum() / (pairs > 0).sum().clamp_min(1)


def _grouped(rows: Tensor, texts: int) -> Tensor:
    """(B, L, ...) as (groups, texts * L, ...), filled up with zeros."""
    missing = -len(rows) % texts
    if missing:
        rows = torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])
    return rows.reshape(len(rows) // texts, texts * rows.shape[1], *rows.shape[2:])


def _cosines(states: Tensor, valid: Tensor) -> Tensor:
    """Cosines (B, L, L) of all pairs of positions; 0 where one is not valid."""
    directions = F.normalize(_only(states, valid).float(), dim=-1, eps=EPSILON)
    with torch.autocast(states.device.type, enabled=False):
        return directions @ directions.transpose(1, 2)


def _only(states: Tensor, valid: Tensor) -> Tensor:
    """`states` (B, L, W) with zeros where `valid` (B, L) is False."""
    return torch.where(valid.unsqueeze(-1), states, states.new_zeros(()))
