"""The peers' models: text VAE and TextDiT as nanoGPT would write them.

They compute the same function of the same weights as `models`, in plain PyTorch: one `nn.Module`
per concept, `F.scaled_dot_product_attention` with a boolean mask, whole logits. Parameters have our
names, so one initial state serves both. Source: nanoGPT's `model.py` (Karpathy 2022).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.configs.flow import TextDiTConfig
from models.configs.vae import TextVAEConfig
from models.dit import TIME_FEATURES, TIME_SCALE
from models.text_vae import LOGVAR_RANGE

Model = TypeVar("Model", bound=nn.Module)


@cache
def rotary_angles(length: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (L, head_dim / 2) of the rotary positions."""
    frequencies = 10_000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.outer(torch.arange(length).float(), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the two halves of each head (B, H, L, C) by its position's angles."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class PeerAttention(nn.Module):
    """Self-attention with normalised, rotated queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.qk_gain = nn.Parameter(torch.ones(2 * heads))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        gain_q, gain_k = self.qk_gain.view(2, self.heads, 1, 1)
        cos, sin = rotary_angles(length, width // self.heads)
        q = rotate(F.rms_norm(q, q.shape[-1:]) * gain_q, cos, sin)
        k = rotate(F.rms_norm(k, k.shape[-1:]) * gain_k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(mixed.transpose(1, 2).contiguous().view(batch, length, width))


class PeerMlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.gelu(self.fc1(x)))


class PeerBlock(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attn = PeerAttention(width, heads)
        self.mlp = PeerMlp(width, int(width * mlp_ratio))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attn(self.norm(x), mask)
        return x + self.mlp(self.norm(x))


class PeerVAE(nn.Module):
    """Text VAE with a learned sigma and layer-normalised means, as in our defaults."""

    def __init__(self, config: TextVAEConfig) -> None:
        super().__init__()
        width, latent_width = config.width, config.latent_width
        vocab_size = cast(int, config.vocab_size)
        sizes = (width, config.heads, config.mlp_ratio)
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.encoder = nn.ModuleList(PeerBlock(*sizes) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.mu_norm = nn.LayerNorm(latent_width, eps=1e-6, elementwise_affine=False)
        self.mu_head = nn.Linear(width, latent_width)
        self.logvar_head = nn.Linear(width, latent_width)
        self.latent_embedding = nn.Linear(latent_width, width)
        self.decoder = nn.ModuleList(PeerBlock(*sizes) for _ in range(config.decoder_layers))
        self.head = nn.Linear(width, vocab_size)

    def forward(
        self, token_ids: Tensor, segments: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, L, V), mu and logvar (B, L, D)."""
        mask = None
        if segments is not None:
            mask = (segments[:, :, None] == segments[:, None, :])[:, None]  # (B, 1, L, L)
        x = self.token_embedding(token_ids)
        for block in self.encoder:
            x = block(x, mask)
        x = self.norm(x)
        mu = self.mu_norm(self.mu_head(x))
        logvar = self.logvar_head(x).clamp(*LOGVAR_RANGE)
        z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=generator)
        x = self.latent_embedding(z)
        for block in self.decoder:
            x = block(x, None)
        return self.head(self.norm(x)), mu, logvar


class PeerTimestepEmbedder(nn.Module):
    """Sinusoidal features and a two-layer net."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(TIME_FEATURES, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        half = TIME_FEATURES // 2
        frequencies = TIME_SCALE * torch.exp(-math.log(10_000.0) / half * torch.arange(half))
        angles = t[:, None] * frequencies
        return self.fc2(F.silu(self.fc1(torch.cat((angles.cos(), angles.sin()), dim=1))))


class PeerDiTBlock(PeerBlock):
    """adaLN-Zero block."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__(width, heads, mlp_ratio)
        self.adaLN_modulation = nn.Linear(width, 6 * width)

    def modulated(self, x: Tensor, c: Tensor, mask: Tensor | None) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (
            self.adaLN_modulation(c).unsqueeze(1).chunk(6, dim=2)
        )
        x = x + gate_a * self.attn(self.norm(x) * (1 + scale_a) + shift_a, mask)
        return x + gate_m * self.mlp(self.norm(x) * (1 + scale_m) + shift_m)


class PeerFinalLayer(nn.Module):
    """Modulated norm and a linear map to the latent width."""

    def __init__(self, width: int, latent_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.adaLN_modulation = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, latent_width)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).unsqueeze(1).chunk(2, dim=2)
        return self.linear(self.norm(x) * (1 + scale) + shift)


class PeerDiT(nn.Module):
    """TextDiT with time, self-conditioning and masked context drops, as in our defaults."""

    def __init__(self, config: TextDiTConfig) -> None:
        super().__init__()
        width, latent_width = config.width, cast(int, config.latent_width)
        self.x_embedder = nn.Linear(2 * latent_width, width)
        self.role_embedding = nn.Embedding(2, width)
        self.t_embedder = PeerTimestepEmbedder(width)
        self.blocks = nn.ModuleList(
            PeerDiTBlock(width, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        self.final_layer = PeerFinalLayer(width, latent_width)

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        ctx: Tensor,
        ctx_mask: Tensor,
        cond_drop: Tensor,
        z_self: Tensor | None,
    ) -> Tensor:
        """Clean latents (B, L, D); arguments as of `TextDiT.forward`."""
        is_ctx = ctx_mask[:, :, None]
        ctx = torch.where(cond_drop[:, None, None], 0.0, ctx)
        estimate = torch.zeros_like(z_t) if z_self is None else torch.where(is_ctx, 0.0, z_self)
        x = self.x_embedder(torch.cat((torch.where(is_ctx, ctx, z_t), estimate), dim=2))
        x = x + self.role_embedding(ctx_mask.long())
        c = F.silu(self.t_embedder(t))
        mask = ~(ctx_mask & cond_drop[:, None])[:, None, None, :]  # (B, 1, 1, L)
        for block in self.blocks:
            x = cast(PeerDiTBlock, block).modulated(x, c, mask)
        return self.final_layer(x, c)


def with_weights_of(peer: Model, ours: nn.Module) -> Model:
    """Copy our weights into the peer, which has no others.

    Raises:
        RuntimeError: the peer has a weight that ours lacks.
    """
    names = peer.state_dict().keys()
    peer.load_state_dict({k: v for k, v in ours.state_dict().items() if k in names})
    return peer
