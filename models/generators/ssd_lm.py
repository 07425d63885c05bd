"""SSD-LM: Gaussian diffusion of almost-one-hot logits, block after block from left to right.

A token is K at its own place and -K at every other. Its noisy form enters the network through its
softmax, which averages the input embeddings; the network tells the tokens of one block from it and
from the clean text before it. Writing starts a block from noise, and at each step projects what
the network says back to almost-one-hot form and puts noise on it. Deviations: learnt from nothing,
not from RoBERTa; a block may begin at the first token; writing starts where the prompt ends.
Source: Han et al. 2022, arXiv 2210.17432, section 3, algorithms 1 and 2; its public code for the
schedule's offset.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from models.attention import RotaryTable, prepare_mask
from models.causal import EOT_ID
from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.generators import SimplexDiffusionConfig, SimplexSamplingConfig
from models.dit import TimestepEmbedder
from models.generators.writing import WritingStep, state_halfway
from models.hub import PretrainedMixin
from models.layers import Block, compute_dtype, initialise, layer_norm
from models.noise import normal_like, own_draws, uniform
from models.nucleus_sampling import sample_nucleus

INIT_STD = 0.02


class SSDLM(nn.Module, PretrainedMixin):
    """A Transformer from noisy logits to tokens, over whole windows of corpus tokens.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.
    """

    config_type = SimplexDiffusionConfig
    signal: Tensor

    def __init__(self, config: SimplexDiffusionConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.vocabulary, self.window = config.sizes
        self.config = config
        self.block_size = min(config.block_size, self.window)
        self.token_embedding = nn.Embedding(self.vocabulary, config.width)
        self.head_bias = nn.Parameter(torch.zeros(self.vocabulary))
        self.roles = nn.Embedding(2, config.width)  # 0 noisy, 1 clean
        self.t_embedder = TimestepEmbedder(config.width)
        self.rotary = RotaryTable(config.width // config.heads, self.window)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        self.register_buffer("signal", cosine_schedule(config.diffusion_steps), persistent=False)
        initialise(self, generator)
        with torch.no_grad():
            for embedding in (self.token_embedding, self.roles):
                embedding.weight.mul_(INIT_STD)

    def training_loss(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross entropy of one block of each text, in nats per token of it.

        The block begins anywhere; before it the text is clean, behind it nothing is seen. Its
        noise level is uniform in 1 to `diffusion_steps`.
        """
        batch, length = token_ids.shape
        start = (uniform((batch, 1), token_ids, generator) * length).long()  # (B, 1)
        levels = uniform((batch,), token_ids, generator) * self.config.diffusion_steps
        level = 1 + levels.long()
        positions = torch.arange(length, device=token_ids.device)
        open_ = (start <= positions) & (positions < start + self.block_size)  # (B, L)
        z = self.noisy(
            almost_one_hot(token_ids, self.vocabulary, self.config.simplex), level, generator
        )
        hidden = self._hidden(token_ids, z, level, positions < start, open_)[open_]  # (N, W)
        found = chunked_cross_entropy(
            hidden,
            self.token_embedding.weight,
            self.head_bias,
            token_ids[open_],
            torch.ones(len(hidden), device=hidden.device),
        )
        return {"loss": found.loss, "token_accuracy": found.correct.float().mean()}

    def noisy(self, clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Logits (B, L, V) at noise levels (B,): noise has the standard deviation K."""
        signal = self.signal[level, None, None]
        noise = self.config.simplex * normal_like(clean, generator)
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def logits(
        self, token_ids: Tensor, z: Tensor, level: Tensor, clean: Tensor, open_: Tensor
    ) -> Tensor:
        """Logits (B, L, V) of the tokens of the open block.

        Args:
            token_ids: (B, L) int64; read where `clean`.
            z: (B, L, V) noisy logits; read where `open_`.
            level: (B,) int64 in [0, `diffusion_steps`].
            clean: (B, L) bool, the text before the block.
            open_: (B, L) bool, the block; nothing behind it is seen.
        """
        hidden = self._hidden(token_ids, z, level, clean, open_)
        return hidden.float() @ self.token_embedding.weight.float().T + self.head_bias.float()

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Token embeddings, and the states halfway of texts that are clean throughout."""
        clean = torch.ones_like(token_ids, dtype=torch.bool)
        z = almost_one_hot(token_ids, self.vocabulary, self.config.simplex)
        level = token_ids.new_zeros(len(token_ids))
        middle = state_halfway(
            self.blocks, lambda: self._hidden(token_ids, z, level, clean, ~clean)
        )
        return {"embeddings": self.token_embedding(token_ids), "middle": middle}

    @torch.inference_mode()
    def write(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: SimplexSamplingConfig,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Write block after block, each text's from the end of its own prompt."""
        positions = torch.arange(self.window, device=prompt_ids.device)
        place = positions - ctx_len[:, None]  # (B, L), counted from the end of the prompt
        given = place < 0
        token_ids = prompt_ids.masked_fill(~given, EOT_ID)
        entropy = torch.full(given.shape, torch.nan, device=given.device)
        longest = self.window - int(ctx_len.min()) if len(ctx_len) else 0
        blocks = -(-longest // self.block_size)
        if blocks == 0:
            yield WritingStep(token_ids, given, entropy, 1.0, 0)
            return
        ended = torch.zeros(len(given), dtype=torch.bool, device=given.device)
        nfe, total = 0, blocks * sampling.num_steps
        grid = torch.linspace(self.config.diffusion_steps, 0, sampling.num_steps + 1).round().long()
        for block in range(blocks):
            before = place < block * self.block_size
            open_ = ~before & (place < (block + 1) * self.block_size)
            active = open_.any(dim=1) & ~ended
            z = self._noise(active, generators)
            for step in range(sampling.num_steps):
                level = grid[step].to(given.device).expand(len(given))
                logits = self.logits(token_ids, z, level, before, open_)
                nfe += 1
                choice = own_draws(torch.rand, (self.window,), generators, active.tolist())
                guess, clean = self.project(logits, sampling, choice.to(z.device))
                signal = self.signal[grid[step + 1]]
                z = signal.sqrt() * clean + (1 - signal).sqrt() * self._noise(active, generators)
                writing = open_ & active[:, None]
                now = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)
                entropy = torch.where(writing, now, entropy)
                token_ids = torch.where(writing, guess, token_ids)
                closed = step + 1 == sampling.num_steps
                written = before | open_ & closed
                if closed:
                    ended |= (writing & (token_ids == EOT_ID)).any(dim=1)
                written = written | ended[:, None]
                done = bool(written.all())
                yield WritingStep(token_ids, written, entropy, 1.0 if done else nfe / total, nfe)
                if done:
                    return

    def project(
        self, logits: Tensor, sampling: SimplexSamplingConfig, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, L) and almost-one-hot logits (B, L, V) of what the network says.

        Args:
            logits: (B, L, V).
            sampling: The projection and its nucleus.
            draws: (B, L) uniform numbers in [0, 1).
        """
        if sampling.projection == "multi-hot":
            return logits.argmax(dim=-1), self.config.simplex * nucleus_signs(
                logits, sampling.nucleus
            )
        flat = sample_nucleus(logits.flatten(0, 1), sampling.nucleus, draws.flatten())
        token_ids = flat.view(draws.shape)
        return token_ids, almost_one_hot(token_ids, self.vocabulary, self.config.simplex)

    def _hidden(
        self, token_ids: Tensor, z: Tensor, level: Tensor, clean: Tensor, open_: Tensor
    ) -> Tensor:
        rope_dtype = compute_dtype(self.token_embedding.weight)
        length = token_ids.shape[1]
        rope = self.rotary(length, rope_dtype)
        t = self.t_embedder(1 - level / self.config.diffusion_steps).unsqueeze(1)
        mixed = z.softmax(dim=-1) @ self.token_embedding.weight + INIT_STD * t  # (B, L, W)
        x = torch.where(clean[..., None], self.token_embedding(token_ids), mixed)
        x = layer_norm(x + self.roles(clean.long()))
        seen = clean | open_ | ~(clean | open_).any(dim=1, keepdim=True)  # never nothing at all
        mask = None
        if not bool(seen.all()):
            mask = prepare_mask(seen[:, None, None, :], self.config.heads, rope_dtype)
        for block in self.blocks:
            x = block(x, rope, mask)
        return layer_norm(x)

    def _noise(self, active: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Noise (B, window, V) of standard deviation K; a text draws while it is being written."""
        shape = (self.window, self.vocabulary)
        drawn = own_draws(torch.randn, shape, generators, active.tolist())
        return self.config.simplex * drawn.to(active.device)


def almost_one_hot(token_ids: Tensor, vocabulary: int, scale: float) -> Tensor:
    """Logits (B, L, V) of tokens (B, L): `scale` at each token, minus `scale` elsewhere."""
    logits = torch.full((*token_ids.shape, vocabulary), -scale, device=token_ids.device)
    return logits.scatter_(-1, token_ids[..., None], scale)


def nucleus_signs(logits: Tensor, nucleus: float) -> Tensor:
    """1 at the smallest set of likeliest tokens whose probability reaches `nucleus`, else -1."""
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    inside = probabilities.cumsum(dim=-1) - probabilities < nucleus
    return (2.0 * inside - 1).gather(-1, order.argsort(dim=-1))


def cosine_schedule(num_steps: int) -> Tensor:
    """(num_steps + 1,) share of the signal's variance left, from no noise to all of it.

    abar(t) = r(t) / r(0) with r(t) = cos^2((t / num_steps + 1e-4) / (1 + 1e-4) * pi / 2).
    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17.
    """
    t = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    left = ((t + 1e-4) / (1 + 1e-4) * (math.pi / 2)).cos().square()
    return (left / left[0]).float()
