"""The text VAE: one Gaussian latent per token, and a decoder that reads all tokens back at once.

Encoder (pre-norm Transformer) -> per-token `mu`, `logvar` -> `z` -> decoder -> logits at every
position. The REPA projector is always built, so that twins with and without alignment start from
the same weights. The decoder takes latents in the encoder's own units; the flow sees them
normalised per channel by `latent_mean` and `latent_std`, which are stored with the weights.
Source: TextLDM, arXiv 2605.07748.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.attention import RotaryTable, prepare_mask
from models.configs.vae import TextVAEConfig
from models.hub import PretrainedMixin
from models.layers import Block, compute_dtype, initialise, layer_norm
from models.noise import normal_like, uniform
from models.projectors import DeepProjector, build_projector
from models.teacher_space import TeacherSpace

# Learned ln sigma² stays here: sigma between 0.007 and 7.4; beyond it the gradient is zero.
LOGVAR_RANGE = (-10.0, 4.0)
INITIAL_LOGVAR = -2.0
STD_FLOOR = 1e-4
LEARNED_ENCODER = ("encoder", "mu_head", "logvar_head", "projector")

# Token ids (B, L) and segments or None -> a teacher's states (B, L, K, W) and validity (B, L).
StateReader = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


class Posterior(NamedTuple):
    """q(z | text): `mu`, `logvar` (B, L, D) float32; `trunk` (B, L, W), the states before them."""

    mu: Tensor
    logvar: Tensor
    trunk: Tensor


class TextVAE(nn.Module, PretrainedMixin):
    """A per-token Gaussian autoencoder of text with a REPA projector.

    Args:
        config: `vocab_size`, `window` and `teacher_width` must be filled.
        generator: draws the initial weights; None uses the global random state. The projector is
            drawn last: whatever its kind or site, all other weights are the same. In the teacher's
            space the decoder is drawn as its twins', and no encoder of our own is kept. There
            `reader` must be set before anything is encoded.

    Raises:
        ValueError: if one of the three fields is None.
    """

    config_type = TextVAEConfig
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: TextVAEConfig, generator: Generator | None = None) -> None:
        super().__init__()
        if config.vocab_size is None or config.window is None or config.teacher_width is None:
            raise ValueError(
                "vocab_size, window and teacher_width must be set to build a TextVAE, got "
                f"{config.vocab_size}, {config.window} and {config.teacher_width}"
            )
        self.config = config
        width, latent_width = config.width, config.latent_width
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.rope = RotaryTable(width // config.heads, config.window)
        self.encoder = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio) for _ in range(config.encoder_layers)
        )
        self.mu_head = nn.Linear(width, latent_width)
        self.logvar_head = nn.Linear(width, latent_width)
        self.latent_embedding = nn.Linear(latent_width, width)
        self.decoder = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio) for _ in range(config.decoder_layers)
        )
        self.head = nn.Linear(width, config.vocab_size)
        self.projector = build_projector(config, config.window, config.teacher_width)
        self.register_buffer("latent_mean", torch.zeros(latent_width))
        self.register_buffer("latent_std", torch.ones(latent_width))
        initialise(self, generator)
        nn.init.zeros_(self.logvar_head.weight)
        nn.init.constant_(self.logvar_head.bias, INITIAL_LOGVAR)
        self.reader: StateReader | None = None
        if config.space == "teacher":
            for name in LEARNED_ENCODER:
                delattr(self, name)
            self.space = TeacherSpace(config.space_layers, config.teacher_width, latent_width)

    def encode(self, token_ids: Tensor, segments: Tensor | None = None) -> Posterior:
        """Encode texts to their per-token posterior.

        Args:
            token_ids: (B, L) int64, padded with end-of-text tokens, which are encoded as well.
            segments: (B, L) int64; attention stays within equal ids, which encodes context and
                target apart in one forward. None lets every position see the whole text.

        Raises:
            ValueError: if L exceeds the window; or in the teacher's space without a reader.
        """
        if self.config.space == "teacher":
            return self._encode_by_teacher(token_ids, segments)
        x = self.token_embedding(token_ids)  # (B, L, W)
        x = x.to(compute_dtype(x))
        rope = self.rope(token_ids.shape[1], x.dtype)
        mask = None
        if segments is not None:
            same = (segments.unsqueeze(2) == segments.unsqueeze(1)).unsqueeze(1)  # (B, 1, L, L)
            mask = prepare_mask(same, self.config.heads, x.dtype)
        for block in self.encoder:
            x = block(x, rope, mask)
        trunk = layer_norm(x)
        return Posterior(self._mu(trunk), self._logvar(trunk), trunk)

    def _encode_by_teacher(self, token_ids: Tensor, segments: Tensor | None) -> Posterior:
        states, valid = self.read_teacher(token_ids, segments)
        mu = self.space(states, valid)
        return Posterior(mu, self._logvar(mu), self.space.standardised(states))

    def read_teacher(self, token_ids: Tensor, segments: Tensor | None) -> tuple[Tensor, Tensor]:
        """The teacher's states (B, L, K, W) and their validity (B, L).

        Raises:
            ValueError: no reader is set.
        """
        if self.reader is None:
            raise ValueError(
                "this autoencoder lives in its teacher's space: it decodes, but encodes only after "
                "`reader` (a TokenReader) is set"
            )
        return self.reader(token_ids, segments)

    def _mu(self, trunk: Tensor) -> Tensor:
        mu = self.mu_head(trunk).float()  # (B, L, D)
        if self.config.mu_norm == "layernorm":
            return layer_norm(mu)
        if self.config.mu_norm == "l2":
            return F.normalize(mu, dim=-1) * self.config.latent_width**0.5
        return mu

    def _logvar(self, trunk: Tensor) -> Tensor:
        config = self.config
        if config.sigma == "fixed":
            value = 2.0 * math.log(config.sigma_value)
            return trunk.new_full((*trunk.shape[:2], config.latent_width), value).float()
        raw = self.logvar_head(trunk).float()  # (B, L, D)
        if config.sigma == "learned":
            return raw.clamp(*LOGVAR_RANGE)
        sigma = config.sigma_min + (config.sigma_max - config.sigma_min) * raw.sigmoid()
        return 2.0 * sigma.log()

    def sample(self, posterior: Posterior, generator: Generator) -> Tensor:
        """Draw z = mu + sigma * noise (B, L, D), in the encoder's units."""
        noise = normal_like(posterior.mu, generator)
        return torch.addcmul(posterior.mu, (0.5 * posterior.logvar).exp(), noise)

    def augment(self, z: Tensor, generator: Generator) -> Tensor:
        """Add decoder noise: each text gets a level drawn uniformly from [0, `decoder_noise`].

        The level counts stds of the channel over this batch, taken without gradient and before
        any trainable map: noise grows with the latents, so larger latents do not avoid it.
        """
        if self.config.decoder_noise == 0:
            return z
        std = z.detach().std(dim=(0, 1), correction=0)  # (D,)
        level = uniform((z.shape[0], 1, 1), z, generator) * self.config.decoder_noise
        return z + level * std * normal_like(z, generator)

    def decode_hidden(self, z: Tensor) -> Tensor:
        """Map latents (B, L, D) in the encoder's units to the states (B, L, W) under `head`."""
        x = self.latent_embedding(z.to(self.latent_embedding.weight.dtype))  # (B, L, W)
        rope = self.rope(z.shape[1], x.dtype)
        for block in self.decoder:
            x = block(x, rope)
        return layer_norm(x)

    def decode(self, z: Tensor) -> Tensor:
        """Read latents (B, L, D) in the encoder's units back to logits (B, L, V)."""
        return self.head(self.decode_hidden(z))

    def decode_normalised(self, z: Tensor) -> Tensor:
        """Read latents (B, L, D) as the flow sees them back to logits (B, L, V)."""
        return self.decode(self.denormalise(z))

    def normalise(self, z: Tensor) -> Tensor:
        """Put latents (..., D) or means into the flow's units, per channel."""
        return (z - self.latent_mean) / self.latent_std

    def denormalise(self, z: Tensor) -> Tensor:
        """Put latents (..., D) back into the encoder's units."""
        return torch.addcmul(self.latent_mean, z, self.latent_std)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Store the channels' mean and std (D,); a std under 1e-4 (a dead channel) counts as 1.

        Raises:
            ValueError: if a value is not finite.
        """
        if not (torch.isfinite(mean).all() and torch.isfinite(std).all()):
            raise ValueError("latent_mean and latent_std must be finite")
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(torch.where(std < STD_FLOOR, torch.ones_like(std), std))

    def project(self, posterior: Posterior, mask: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Project the REPA site to the teacher's width.

        Args:
            posterior: of `encode`.
            mask: (B, L) bool; other positions enter the projector as zeros.
            hidden: (B, L) bool or None; see `models.projectors.hidden_positions`.

        Returns:
            (B, L, teacher_width).
        """
        site = self.aligned_site(posterior)
        site = site * mask.unsqueeze(-1).to(site.dtype)
        if isinstance(self.projector, DeepProjector):
            return self.projector(site, mask, hidden)
        return self.projector(site)

    def aligned_site(self, posterior: Posterior) -> Tensor:
        """What is aligned with the teacher: `mu` (B, L, D), or the trunk (B, L, W) before it."""
        return posterior.mu if self.config.repa_site == "latent" else posterior.trunk
