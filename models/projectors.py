"""Projectors from a space that is aligned to the teacher's width.

They serve the alignment loss alone: no model reads them once training has ended.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.attention import RotaryTable, prepare_mask
from models.configs.vae import TextVAEConfig
from models.layers import Block, layer_norm


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
    """

    def __init__(self, config: TextVAEConfig, width_in: int, window: int, width_out: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.embedding = nn.Linear(width_in, config.width)
        self.rope = RotaryTable(config.width // config.heads, window)
        self.block = Block(config.width, config.heads, config.mlp_ratio)
        self.mlp = mlp_projector(config.width, config.projector_width, width_out)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, L, width_in) to (B, L, width_out); only positions in `mask` (B, L) are seen."""
        x = self.embedding(x)  # (B, L, W)
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
