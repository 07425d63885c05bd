"""Projectors from a space that is aligned to the teacher's width.

They serve the alignment loss alone: no model reads them once training has ended.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from models.attention import RotaryTable, prepare_mask
from models.configs.vae import TextVAEConfig
from models.layers import Block, layer_norm
from models.noise import uniform


class ConvProjector(nn.Module):
    """A convolution of kernel 3 over positions, as iREPA's (arXiv 2512.10794), in one dimension."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width_in, width_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, width_in) to (B, L, width_out)."""
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


class DeepProjector(nn.Module):
    """A linear map, one Transformer block, and a net of two layers, as Send-VAE's mapper.

    The teacher's state depends on the whole text. Where the projector attends as well, a latent
    need not hold all of it. Source: arXiv 2601.05823, of which depth 1 was best. Deviation: no
    noise is added to the latents before it.

    Positions may be hidden: a learned vector stands for them, and their states are told from the
    others. Source: masked adapter of PixelREPA, arXiv 2603.14366; hiding the whole target is the
    prediction of I-JEPA, arXiv 2301.08243, with the teacher's states for those of a moving average.
    """

    def __init__(self, config: TextVAEConfig, width_in: int, window: int, width_out: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.embedding = nn.Linear(width_in, config.width)
        self.rope = RotaryTable(config.width // config.heads, window)
        self.block = Block(config.width, config.heads, config.mlp_ratio)
        self.mlp = mlp_projector(config.width, config.projector_width, width_out)
        if config.mask_share or config.mask_target:
            self.mask_token = nn.Parameter(torch.zeros(config.width))  # draws nothing

    def forward(self, x: Tensor, mask: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Map (B, L, width_in) to (B, L, width_out).

        Args:
            x: what is aligned.
            mask: (B, L) bool; attention reaches these positions alone.
            hidden: (B, L) bool, positions whose content is replaced, for settings that hide any.
        """
        x = self.embedding(x)  # (B, L, W)
        if hidden is not None:
            x = torch.where(hidden.unsqueeze(-1), self.mask_token.to(x.dtype), x)
        visible = mask | ~mask.any(dim=1, keepdim=True)
        keys = prepare_mask(visible[:, None, None, :], self.heads, x.dtype)
        x = self.block(x, self.rope(x.shape[1], x.dtype), keys)
        return self.mlp(layer_norm(x))


def mlp_projector(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(width_in, hidden), nn.SiLU(), nn.Linear(hidden, width_out))


def build_projector(config: TextVAEConfig, window: int, teacher_width: int) -> nn.Module:
    """The projector that a text VAE's settings ask for, with weights yet to be drawn."""
    width_in = config.latent_width if config.repa_site == "latent" else config.width
    if config.projector == "linear":
        return nn.Linear(width_in, teacher_width)
    if config.projector == "conv":
        return ConvProjector(width_in, teacher_width)
    if config.projector == "deep":
        return DeepProjector(config, width_in, window, teacher_width)
    return mlp_projector(width_in, config.projector_width, teacher_width)


def hidden_positions(
    config: TextVAEConfig, mask: Tensor, segments: Tensor | None, generator: Generator
) -> Tensor | None:
    """Which positions (B, L) bool the projector must tell from the others; None: it sees all.

    Draws from `generator` only where `mask_share` is not 0.

    Args:
        config: names the share, and whether the target is hidden.
        mask: (B, L) bool, True at real tokens.
        segments: (B, L) int64, 0 context and 1 target; None where they were encoded together, and
            the target is not hidden.
        generator: draws the share.
    """
    hidden = None
    if config.mask_target and segments is not None:
        hidden = segments > 0
    if config.mask_share:
        drawn = uniform(tuple(mask.shape), mask.float(), generator) < config.mask_share
        hidden = drawn if hidden is None else hidden | drawn
    return hidden
