"""Bidirectional self-attention with rotary positions and normalised queries and keys.

Elementwise work, not matrix products, bounds small models on a CPU with bf16 units. Hence the
normalisation and the rotation of queries and keys are one autograd function over one copy of the
projection, tables and masks are built once per forward and shared by all layers, and bf16
attention on a CPU is made of matrix products: the fused CPU kernel's bf16 backward costs several
times the float32 one (torch 2.13).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.joined_linear import JoinedLinear

NORM_EPS = 1e-6
# exp(-1e4) is exactly 0 in float32, and a row with nothing allowed stays finite.
MASKED_SCORE = -1e4
# Above this length the (L, L) scores of the matrix-product path would outgrow a laptop's cache.
LONGEST_UNFUSED = 1024


class Rope(NamedTuple):
    """Rotary tables: `cos` and sign-folded `sin`, each (L, head_dim) in the compute dtype."""

    cos: Tensor
    sin: Tensor


class RotaryTable(nn.Module):
    """Rotary position angles for up to `length` positions (half-split pairing).

    Source: Su et al. 2021, arXiv 2104.09864, eq. 15, base 10,000. The sign of rotate-half is
    folded into the sine table, so that `x * cos + x.roll(head_dim / 2) * sin` is the rotation.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, length: int, base: float = 10_000.0) -> None:
        super().__init__()
        frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
        angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
        self.register_buffer("cos", torch.cat((angles.cos(), angles.cos()), -1), persistent=False)
        self.register_buffer("sin", torch.cat((-angles.sin(), angles.sin()), -1), persistent=False)

    def forward(self, length: int, dtype: torch.dtype) -> Rope:
        """Return the tables of the first `length` positions in `dtype`.

        Raises:
            ValueError: if `length` exceeds the positions the table was built for.
        """
        if length > self.cos.shape[0]:
            raise ValueError(
                f"length {length} exceeds the model's window of {self.cos.shape[0]} positions"
            )
        return Rope(self.cos[:length].to(dtype), self.sin[:length].to(dtype))


class _SplitNormRotate(torch.autograd.Function):
    """Split a fused projection into heads; RMS-normalise, scale and rotate queries and keys.

    Forward takes qkv (B, L, 3, H, C), gain (2, H) and the tables (L, C); it returns q, k, v, each
    (B, H, L, C) and contiguous. The rotation is orthogonal, so its transpose undoes it in backward.
    """

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        heads_first = qkv.permute(2, 0, 3, 1, 4).contiguous()  # (3, B, H, L, C)
        qk, v = heads_first[:2], heads_first[2]
        width = qk.shape[-1]
        precise = torch.promote_types(qk.dtype, torch.float32)
        norm = torch.linalg.vector_norm(qk, dim=-1, keepdim=True, dtype=precise)
        inverse_rms = width**0.5 / norm.clamp_min_(NORM_EPS)  # (2, B, H, L, 1)
        scale = inverse_rms * gain.to(precise).view(2, 1, -1, 1, 1)
        rotated = qk * cos
        rotated.addcmul_(qk.roll(width // 2, -1), sin)
        rotated.mul_(scale.to(qk.dtype))
        ctx.save_for_backward(qk, inverse_rms, scale, cos, sin)
        ctx.gain_dtype = gain.dtype
        return rotated[0], rotated[1], v

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_q: Tensor, grad_k: Tensor, grad_v: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        qk, inverse_rms, scale, cos, sin = ctx.saved_tensors
        width = qk.shape[-1]
        grad = torch.empty((3, *grad_v.shape), dtype=qk.dtype, device=qk.device)
        dots = []
        for i, grad_rotated in enumerate((grad_q, grad_k)):
            unrotated = (grad_rotated * sin).roll(width // 2, -1)
            unrotated.addcmul_(grad_rotated, cos)
            dot = torch.linalg.vecdot(unrotated, qk[i]).unsqueeze(-1)  # (B, H, L, 1)
            along = inverse_rms[i].square().mul_(dot).mul_(-1.0 / width)
            unrotated.addcmul_(qk[i], along.to(qk.dtype))
            torch.mul(unrotated, scale[i].to(qk.dtype), out=grad[i])
            dots.append(inverse_rms[i] * dot)
        grad[2].copy_(grad_v)
        grad_gain = torch.stack(dots).sum(dim=(1, 3, 4)).to(ctx.gain_dtype)  # (2, H)
        return grad.permute(1, 3, 0, 2, 4), grad_gain, None, None


def uses_matrix_products(device: torch.device, dtype: torch.dtype, length: int) -> bool:
    """Say whether `attend` builds the scores itself rather than calling the fused kernel."""
    low_precision = dtype in (torch.bfloat16, torch.float16)
    return device.type == "cpu" and low_precision and length <= LONGEST_UNFUSED


def prepare_mask(allowed: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """Turn a boolean mask into what `attend` wants, once per forward.

    Args:
        allowed: (B, 1, 1 or N, L) bool, True where a query (row) may look at a key (column).
        heads: number of attention heads.
        dtype: compute dtype of the queries.

    Returns:
        `allowed` itself for the fused kernels, else an additive (B, H, L or N, L) bias.
    """
    batch, _, queries, length = allowed.shape
    if not uses_matrix_products(allowed.device, dtype, length):
        return allowed
    bias = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    bias.masked_fill_(~allowed, MASKED_SCORE)
    return bias.expand(batch, heads, length if queries == 1 else queries, length).contiguous()


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Compute softmax(q kᵀ + mask) v, scaled dot-product attention with the scale already in q.

    Args:
        q: (B, H, N, C) queries, multiplied by the score scale.
        k: (B, H, L, C) keys.
        v: (B, H, L, C) values.
        mask: what `prepare_mask` returned, or None.

    Returns:
        (B, H, N, C).
    """
    if not uses_matrix_products(q.device, q.dtype, k.shape[-2]):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    batch, heads, length, width = q.shape
    flat_q, flat_k, flat_v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    if mask is None:
        scores = torch.bmm(flat_q, flat_k.transpose(1, 2))  # (B H, N, L)
    else:
        scores = torch.baddbmm(mask.flatten(0, 1), flat_q, flat_k.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), flat_v).view(batch, heads, length, width)


class SelfAttention(nn.Module):
    """Multi-head self-attention with QK-norm and rotary positions.

    Source: QK-RMSNorm as in Esser et al. 2024, arXiv 2403.03206, section 5.3.2; deviation: one
    learned gain per head instead of one per dimension, which commutes with the rotation.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = JoinedLinear(width, width, parts=3)
        self.proj = nn.Linear(width, width)
        self.qk_gain = nn.Parameter(torch.ones(2 * heads))

    def forward(self, x: Tensor, rope: Rope, mask: Tensor | None = None) -> Tensor:
        """Mix positions of x (B, L, W) where `mask` (from `prepare_mask`) allows."""
        batch, length, width = x.shape
        head_dim = width // self.heads
        qkv = self.qkv(x).view(batch, length, 3, self.heads, head_dim)
        gain = self.qk_gain.view(2, self.heads)
        score_scale = gain.new_tensor([head_dim**-0.5, 1.0]).unsqueeze(1)
        q, k, v = _SplitNormRotate.apply(qkv, gain * score_scale, *rope)
        mixed = attend(q, k, v, mask)  # (B, H, L, C)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
