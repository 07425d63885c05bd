"""TextDiT: a diffusion transformer over one sequence of clean context and noisy target latents.

Where `ctx_mask` is True a position carries its clean context latent, elsewhere the noisy `z_t`;
a learned role embedding says which. Time enters every block through adaLN-Zero, so an untrained
network returns 0. Source: DiT (Peebles & Xie 2022, arXiv 2212.09748); TextLDM, arXiv 2605.07748.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.attention import Rope, RotaryTable, SelfAttention, prepare_mask
from models.configs.flow import TextDiTConfig
from models.hub import PretrainedMixin
from models.joined_linear import JoinedLinear
from models.layers import Mlp, initialise, layer_norm
from models.mmdit import MMDiTBlock, split_streams

TIME_FEATURES = 256
TIME_SCALE = 1000.0


class DiTOutput(NamedTuple):
    """What a network finds on its way.

    Attributes:
        out: (B, L, D).
        hidden: the states (B, L, W) after each block, in order.
        internal: (B, L, D) what the head in the middle reads there, None without one.
    """

    out: Tensor
    hidden: tuple[Tensor, ...]
    internal: Tensor | None


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Compute x * (1 + scale) + shift for x (B, L, W) and shift, scale (B, 1, W)."""
    return torch.addcmul(shift, x, 1.0 + scale)


def shift_tokens(x: Tensor, extra_rows: int = 0) -> Tensor:
    """Give each position a quarter of the channels of the one before and of the one after it.

    Neighbours are then at hand without attention. x is (B, L + extra_rows, W); beyond the L
    positions stand zeros, and the rows behind them stay as they are.
    Source: Lin et al. 2018, arXiv 1811.08383, the bidirectional shift.
    """
    if extra_rows:
        return torch.cat((shift_tokens(x[:, :-extra_rows]), x[:, -extra_rows:]), dim=1)
    quarter = x.shape[2] // 4
    before = F.pad(x[:, :-1, :quarter], (0, 0, 1, 0))
    after = F.pad(x[:, 1:, quarter : 2 * quarter], (0, 0, 0, 1))
    return torch.cat((before, after, x[:, :, 2 * quarter :]), dim=2)


class TimestepEmbedder(nn.Module):
    """Sinusoidal features of 1000 t and a two-layer net, as in DiT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(TIME_FEATURES, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        """Embed t (B,) in [0, 1] as (B, W)."""
        half = TIME_FEATURES // 2
        index = torch.arange(half, device=t.device, dtype=torch.float32)
        frequencies = TIME_SCALE * torch.exp(-math.log(10_000.0) / half * index)
        angles = t.float().unsqueeze(1) * frequencies  # (B, F / 2)
        features = torch.cat((angles.cos(), angles.sin()), dim=1)
        return self.fc2(F.silu(self.fc1(features.to(self.fc1.weight.dtype))))


class ConstantEmbedder(nn.Module):
    """A learned vector in the place of the time embedding, for a network blind to t."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(width))

    def forward(self, t: Tensor) -> Tensor:
        """Return the constant as (B, W); only the length of t (B,) is read."""
        return self.constant.expand(t.shape[0], -1)


class DiTBlock(nn.Module):
    """adaLN-Zero block: attention and MLP, each shifted, scaled and gated by the condition."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, token_shift: bool, extra_rows: int
    ) -> None:
        super().__init__()
        self.token_shift, self.extra_rows = token_shift, extra_rows
        self.attn = SelfAttention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.adaLN_modulation = JoinedLinear(width, width, parts=6)

    def forward(self, x: Tensor, c: Tensor, rope: Rope, mask: Tensor | None) -> Tensor:
        """Map x (B, L, W) under the condition c (B, W), SiLU already applied."""
        modulation = self.adaLN_modulation(c).unsqueeze(1).chunk(6, dim=2)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation  # (B, 1, W)
        h = modulate(layer_norm(x), shift_msa, scale_msa)  # (B, L, W)
        mixed = self.attn(self.shifted(h), rope, mask)
        x = torch.addcmul(x, gate_msa, mixed)
        return torch.addcmul(x, gate_mlp, self.mlp(modulate(layer_norm(x), shift_mlp, scale_mlp)))

    def shifted(self, h: Tensor) -> Tensor:
        """What attention reads of h (B, L, W)."""
        return shift_tokens(h, self.extra_rows) if self.token_shift else h


class FinalLayer(nn.Module):
    """Modulated norm and a linear map to the latent width."""

    def __init__(self, width: int, latent_width: int) -> None:
        super().__init__()
        self.adaLN_modulation = JoinedLinear(width, width, parts=2)
        self.linear = nn.Linear(width, latent_width)

    def forward(self, x: Tensor, c: Tensor, of_vector: nn.Linear | None = None) -> Tensor:
        """Map x (B, L, W) under c (B, W) to (B, L, D), its last row by `of_vector` if there is."""
        shift, scale = self.adaLN_modulation(c).unsqueeze(1).chunk(2, dim=2)
        x = modulate(layer_norm(x), shift, scale)
        if of_vector is None:
            return self.linear(x)
        return torch.cat((self.linear(x[:, :-1]), of_vector(x[:, -1:])), dim=1)


def _build_block(config: TextDiTConfig, index: int) -> nn.Module:
    def one() -> DiTBlock:
        return DiTBlock(
            config.width,
            config.heads,
            config.mlp_ratio,
            config.token_shift,
            int(config.sentence_vector),
        )

    if config.backbone == "dit":
        return one()
    return MMDiTBlock(one(), one(), config.width, last=index == config.layers - 1)


def _build_projector(config: TextDiTConfig) -> nn.Sequential:
    """REPA's net of three layers (arXiv 2410.06940); its hidden width grows with the network's."""
    if config.teacher_width is None:
        raise ValueError("teacher_width must be set to build a TextDiT with repa_depth")
    hidden = 2 * config.width
    return nn.Sequential(
        nn.Linear(config.width, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, config.teacher_width),
    )


class TextDiT(nn.Module, PretrainedMixin):
    """Diffusion transformer from (z_t, t, context) to a latent or a velocity.

    With `repa_depth` it has a projector for the alignment of a block's states, which `forward`
    never uses; with `internal_depth` a second final layer for internal guidance. With
    `sentence_vector` the last of L + 1 rows is a vector of the whole text, which is denoised like a
    target position: it has linear maps of its own in and out, whose offset is its embedding, no
    rotation and no neighbours (REG, arXiv 2507.01467). All these are drawn last, so all other
    weights are those of a network without them.

    Args:
        config: `latent_width` and `window` must be filled, with `repa_depth` `teacher_width` too.
        generator: draws the initial weights; None uses the global random state.

    Raises:
        ValueError: if one of these fields is None.
    """

    config_type = TextDiTConfig

    def __init__(self, config: TextDiTConfig, generator: Generator | None = None) -> None:
        super().__init__()
        if config.latent_width is None or config.window is None:
            raise ValueError(
                "latent_width and window must be set to build a TextDiT, got "
                f"{config.latent_width} and {config.window}"
            )
        self.config = config
        width = config.width
        channels = config.latent_width * (2 if config.self_conditioning else 1)
        self.x_embedder = nn.Linear(channels, width)
        self.role_embedding = nn.Embedding(2, width)
        self.t_embedder = (
            TimestepEmbedder(width) if config.time_conditioning else ConstantEmbedder(width)
        )
        self.rope = RotaryTable(width // config.heads, config.window)
        self.blocks = nn.ModuleList(_build_block(config, i) for i in range(config.layers))
        self.final_layer = FinalLayer(width, config.latent_width)
        if config.repa_depth is not None:
            self.projector = _build_projector(config)
        if config.internal_depth is not None:
            self.internal_layer = FinalLayer(width, config.latent_width)
        self.vector_head: nn.Linear | None = None
        self.internal_vector_head: nn.Linear | None = None
        if config.sentence_vector:
            self.vector_embedder = nn.Linear(channels, width)
            self.vector_head = nn.Linear(width, config.latent_width)
            if config.internal_depth is not None:
                self.internal_vector_head = nn.Linear(width, config.latent_width)
        initialise(self, generator)
        for name, parameter in self.named_parameters():
            if name.endswith(("adaLN_modulation.weight", "_layer.linear.weight", "_head.weight")):
                nn.init.zeros_(parameter)

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        ctx: Tensor,
        ctx_mask: Tensor,
        cond_drop: Tensor | None = None,
        z_self: Tensor | None = None,
        return_hidden: bool = False,
    ) -> Tensor | DiTOutput:
        """Predict at every position; what stands at context positions has no meaning.

        Args:
            z_t: (B, L, D) noisy latents; read at target positions only.
            t: (B,) in [0, 1], 0 = noise.
            ctx: (B, L, D) clean latents; read at context positions only.
            ctx_mask: (B, L) bool, True at context positions.
            cond_drop: (B,) bool, True drops the text's context; None drops none.
            z_self: (B, L, D) earlier estimate of z, for self-conditioning; None is zeros.
            return_hidden: also hand back the states after each block, and what the head in the
                middle reads there.

        Returns:
            (B, L, D), or a `DiTOutput`.

        Raises:
            ValueError: if `z_self` is given to a network without self-conditioning, or L exceeds
                the window, or with `sentence_vector` is not the window and one.
        """
        x = self._embed(z_t, ctx, ctx_mask, cond_drop, z_self)  # (B, L, W)
        c = F.silu(self.t_embedder(t))  # (B, W)
        rope = self._rope(x.shape[1], x.dtype)
        mask = self._attention_mask(ctx_mask, cond_drop, x.dtype)
        streams = (split_streams(ctx_mask),) if self.config.backbone == "mmdit" else ()
        hidden = []
        for block in self.blocks:
            x = block(x, c, rope, mask, *streams)
            if return_hidden:
                hidden.append(x)
        out = self.final_layer(x, c, self.vector_head)
        if not return_hidden:
            return out
        internal = None
        if self.config.internal_depth is not None:
            state = self._state_at(self.config.internal_depth, hidden)
            internal = self.internal_layer(state, c, self.internal_vector_head)
        return DiTOutput(out, tuple(hidden), internal)

    def project(self, hidden: tuple[Tensor, ...]) -> Tensor:
        """Project the states after the aligned block to the teacher's width.

        Args:
            hidden: of a `DiTOutput`.

        Returns:
            (B, L, teacher_width).

        Raises:
            ValueError: if the network was built without `repa_depth`.
        """
        if self.config.repa_depth is None:
            raise ValueError("repa_depth must be set to align a block's states")
        return self.projector(layer_norm(self._state_at(self.config.repa_depth, hidden)))

    def _state_at(self, depth: float, hidden: Sequence[Tensor]) -> Tensor:
        """The state (B, L, W) after a share of the blocks in (0, 1]."""
        return hidden[math.ceil(depth * len(self.blocks)) - 1]

    def _embed(
        self,
        z_t: Tensor,
        ctx: Tensor,
        ctx_mask: Tensor,
        cond_drop: Tensor | None,
        z_self: Tensor | None,
    ) -> Tensor:
        is_ctx = ctx_mask.unsqueeze(-1)  # (B, L, 1)
        if cond_drop is not None:
            ctx = ctx.masked_fill(cond_drop[:, None, None], 0.0)
        latents = torch.where(is_ctx, ctx, z_t)
        if self.config.self_conditioning:
            estimate = torch.zeros_like(z_t) if z_self is None else z_self.masked_fill(is_ctx, 0.0)
            latents = torch.cat((latents, estimate), dim=-1)  # (B, L, 2 D)
        elif z_self is not None:
            raise ValueError("z_self was given, but the network has no self-conditioning")
        x = self.x_embedder(latents.to(self.x_embedder.weight.dtype))
        role = self.role_embedding.weight.to(x.dtype)
        x = x + torch.where(is_ctx, role[1], role[0])
        if self.config.sentence_vector:
            vector = self.vector_embedder(latents[:, -1:].to(self.x_embedder.weight.dtype))
            x = torch.cat((x[:, :-1], vector), dim=1)
        return x

    def _rope(self, rows: int, dtype: torch.dtype) -> Rope:
        """Rotary tables of the rows; a sentence vector is not rotated, as position 0 is not."""
        if not self.config.sentence_vector:
            return self.rope(rows, dtype)
        window = self.config.window
        assert window is not None
        if rows != window + 1:
            raise ValueError(f"with sentence_vector L must be {window + 1}, got {rows}")
        cos, sin = self.rope(window, dtype)
        return Rope(F.pad(cos, (0, 0, 0, 1), value=1.0), F.pad(sin, (0, 0, 0, 1)))

    def _attention_mask(
        self, ctx_mask: Tensor, cond_drop: Tensor | None, dtype: torch.dtype
    ) -> Tensor | None:
        """Hide dropped contexts as keys; a text that is all context keeps itself visible."""
        if cond_drop is None or self.config.drop_mode == "zeros":
            return None
        visible = ~(ctx_mask & cond_drop.unsqueeze(1))  # (B, L)
        visible = visible | ~visible.any(dim=1, keepdim=True)
        return prepare_mask(visible[:, None, None, :], self.config.heads, dtype)
