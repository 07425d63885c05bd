"""Blocks of two streams: prompt and latents have weights of their own and attend to each other.

Both streams are latents of one space, so the input map and the output layer are the DiT's own.
With equal weights in both streams a block is the DiT's block. The last block's context stream gives
keys and values only, as nothing reads it afterwards.
Source: Esser et al. 2024 (Stable Diffusion 3), arXiv 2403.03206, section 4 and figure 2 (b).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.attention import Rope, _SplitNormRotate, attend
from models.joined_linear import JoinedLinear
from models.layers import layer_norm


class Streams(NamedTuple):
    """Which positions belong to which stream: `is_ctx` (B, L, 1), and an order of all B * L
    positions with the `num_targets` of the target stream first."""

    is_ctx: Tensor
    order: Tensor
    inverse: Tensor
    num_targets: int

    def through(
        self,
        target: Callable[[Tensor], Tensor],
        context: Callable[[Tensor], Tensor],
        x: Tensor,
    ) -> Tensor:
        """Map every position of x (B, L, W) by its own stream's map."""
        rows = x.flatten(0, 1)[self.order]
        mapped = (target(rows[: self.num_targets]), context(rows[self.num_targets :]))
        return torch.cat(mapped)[self.inverse].unflatten(0, x.shape[:2])


def split_streams(ctx_mask: Tensor) -> Streams:
    """The streams of ctx_mask (B, L), True at context positions."""
    flat = ctx_mask.flatten()
    order = flat.byte().argsort(stable=True)
    return Streams(ctx_mask.unsqueeze(-1), order, order.argsort(), int((~flat).sum()))


class MMDiTBlock(nn.Module):
    """adaLN-Zero block with joint attention over two streams.

    Args:
        target: A DiT block, of the noisy latents.
        context: Another one, of the prompt; what the last block does not need of it is taken out.
        last: Whether nothing reads the context stream behind this block.
    """

    def __init__(self, target: Any, context: Any, width: int, last: bool) -> None:
        super().__init__()
        self.target: Any = target
        self.context: Any = context
        self.last = last
        if last:
            del context.attn.proj, context.mlp
            context.adaLN_modulation = JoinedLinear(width, width, parts=2)

    def forward(
        self, x: Tensor, c: Tensor, rope: Rope, mask: Tensor | None, streams: Streams
    ) -> Tensor:
        """Map x (B, L, W) under the condition c (B, W), SiLU already applied."""
        own, other = self.target, self.context
        shift, scale, *rest = self._modulation(c, streams.is_ctx)  # (B, L, W) each
        h = torch.addcmul(shift, layer_norm(x), 1.0 + scale)
        mixed = self._attend(own.shifted(h), rope, mask, streams)
        gate_msa, shift_mlp, scale_mlp, gate_mlp = rest
        proj, mlp = (torch.zeros_like,) * 2 if self.last else (other.attn.proj, other.mlp)
        x = torch.addcmul(x, gate_msa, streams.through(own.attn.proj, proj, mixed))
        h = torch.addcmul(shift_mlp, layer_norm(x), 1.0 + scale_mlp)
        return torch.addcmul(x, gate_mlp, streams.through(own.mlp, mlp, h))

    def _modulation(self, c: Tensor, is_ctx: Tensor) -> tuple[Tensor, ...]:
        target = self.target.adaLN_modulation(c).unsqueeze(1)  # (B, 1, 6 W)
        context = self.context.adaLN_modulation(c).unsqueeze(1)
        if self.last:
            context = torch.cat((context, torch.zeros_like(target[..., context.shape[2] :])), 2)
        return torch.where(is_ctx, context, target).chunk(6, dim=2)

    def _attend(self, h: Tensor, rope: Rope, mask: Tensor | None, streams: Streams) -> Tensor:
        """Every position attends to both streams; queries and keys are normalised by their own."""
        own, other = self.target.attn, self.context.attn
        batch, length, width = h.shape
        head_dim = width // own.heads
        qkv = streams.through(own.qkv, other.qkv, h).view(batch, length, 3, own.heads, head_dim)
        scale = qkv.new_tensor([[head_dim**-0.5], [1.0]], dtype=own.qk_gain.dtype)
        q, k, v = _SplitNormRotate.apply(qkv, scale.expand(2, own.heads), *rope)
        gains = torch.where(streams.is_ctx, other.qk_gain, own.qk_gain).to(q.dtype)  # (B, L, 2 H)
        gain_q, gain_k = gains.transpose(1, 2).unsqueeze(-1).chunk(2, dim=1)  # (B, H, L, 1)
        mixed = attend(q * gain_q, k * gain_k, v, mask)
        return mixed.transpose(1, 2).reshape(batch, length, width)
