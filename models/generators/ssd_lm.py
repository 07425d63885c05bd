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
        start = (uniform((batch, 1), token_ids, generator) * length).long()[:, 0]  # (B,)
        levels = uniform((batch,), token_ids, generator) * self.config.diffusion_steps
        level = 1 + levels.long()
        places = self._places(start)  # (B, S)
        inside = places < length
        meant = token_ids.gather(1, places.clamp(max=length - 1))
        z = self.noisy(
            almost_one_hot(meant, self.vocabulary, self.config.simplex), level, generator
        )
        hidden = self._hidden(token_ids, z, level, start)[inside]  # (N, W)
        found = chunked_cross_entropy(
            hidden,
            self.token_embedding.weight,
            self.head_bias,
            meant[inside],
            torch.ones(len(hidden), device=hidden.device),
        )
        return {"loss": found.loss, "token_accuracy": found.correct.float().mean()}

    def noisy(self, clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
        """Logits (B, S, V) at noise levels (B,): noise has the standard deviation K."""
        signal = self.signal[level, None, None]
        noise = self.config.simplex * normal_like(clean, generator)
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def logits(self, token_ids: Tensor, z: Tensor, level: Tensor, start: Tensor) -> Tensor:
        """Logits (B, S, V) of the S tokens of a block.

        Args:
            token_ids: (B, L) int64; read before the block, nothing behind it is seen.
            z: (B, S, V) noisy logits of the block; what stands behind the L-th token is not seen.
            level: (B,) int64 in [0, `diffusion_steps`].
            start: (B,) int64, where the block begins; from L on there is only clean text.
        """
        hidden = self._hidden(token_ids, z, level, start)
        return hidden.float() @ self.token_embedding.weight.float().T + self.head_bias.float()

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Token embeddings, and the states halfway of texts that are clean throughout."""
        batch, length = token_ids.shape
        z = torch.zeros(batch, self.block_size, self.vocabulary, device=token_ids.device)
        start = token_ids.new_full((batch,), length)
        level = torch.zeros_like(start)
        middle = state_halfway(self.blocks, lambda: self._hidden(token_ids, z, level, start))
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
            start = (ctx_len + block * self.block_size).clamp(max=self.window)
            places = self._places(start)
            active = (start < self.window) & ~ended
            writing = (places < self.window) & active[:, None]  # (B, S)
            z = self._noise(active, generators)
            for step in range(sampling.num_steps):
                level = grid[step].to(given.device).expand(len(given))
                logits = self.logits(token_ids, z, level, start)
                nfe += 1
                choice = own_draws(torch.rand, (self.block_size,), generators, active.tolist())
                guess, clean = self.project(logits, sampling, choice.to(z.device))
                signal = self.signal[grid[step + 1]]
                z = signal.sqrt() * clean + (1 - signal).sqrt() * self._noise(active, generators)
                now = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)
                entropy = _put(entropy, now, places, writing)
                token_ids = _put(token_ids, guess, places, writing)
                closed = step + 1 == sampling.num_steps
                if closed:
                    ended |= (writing & (guess == EOT_ID)).any(dim=1)
                known = place < (block + closed) * self.block_size
                written = known | ended[:, None]
                done = bool(written.all())
                yield WritingStep(token_ids, written, entropy, 1.0 if done else nfe / total, nfe)
                if done:
                    return

    def project(
        self, logits: Tensor, sampling: SimplexSamplingConfig, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, S) and almost-one-hot logits (B, S, V) of what the network says.

        Args:
            logits: (B, S, V).
            sampling: The projection and its nucleus.
            draws: (B, S) uniform numbers in [0, 1).
        """
        if sampling.projection == "multi-hot":
            return logits.argmax(dim=-1), self.config.simplex * nucleus_signs(
                logits, sampling.nucleus
            )
        flat = sample_nucleus(logits.flatten(0, 1), sampling.nucleus, draws.flatten())
        token_ids = flat.view(draws.shape)
        return token_ids, almost_one_hot(token_ids, self.vocabulary, self.config.simplex)

    def _places(self, start: Tensor) -> Tensor:
        """(B, S) places of the blocks that begin at `start`; some may lie behind the window."""
        return start[:, None] + torch.arange(self.block_size, device=start.device)

    def _hidden(self, token_ids: Tensor, z: Tensor, level: Tensor, start: Tensor) -> Tensor:
        """The last states (B, S, W) of the block; the arguments are those of `logits`."""
        rope_dtype = compute_dtype(self.token_embedding.weight)
        length, places = token_ids.shape[1], self._places(start)
        rope = self.rotary(length, rope_dtype)
        t = self.t_embedder(1 - level / self.config.diffusion_steps).unsqueeze(1)
        mixed = z.softmax(dim=-1) @ self.token_embedding.weight + INIT_STD * t  # (B, S, W)
        noisy = layer_norm(mixed + self.roles.weight[0])
        x = layer_norm(self.token_embedding(token_ids) + self.roles.weight[1])
        # Room behind the text, for the part of a block that lies there.
        room = x.new_zeros(len(x), self.block_size, x.shape[2])
        rows = places[..., None].expand(-1, -1, x.shape[2])
        x = torch.cat([x, room], dim=1).scatter(1, rows, noisy.to(x.dtype))[:, :length]
        seen = torch.arange(length, device=start.device) < start[:, None] + self.block_size
        mask = None
        if not bool(seen.all()):
            mask = prepare_mask(seen[:, None, None, :], self.config.heads, rope_dtype)
        for block in self.blocks:
            x = block(x, rope, mask)
        return layer_norm(x).gather(1, rows.clamp(max=length - 1))

    def _noise(self, active: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Noise (B, S, V) of standard deviation K; a text draws while it is being written."""
        shape = (self.block_size, self.vocabulary)
        drawn = own_draws(torch.randn, shape, generators, active.tolist())
        return self.config.simplex * drawn.to(active.device)


def _put(whole: Tensor, block: Tensor, places: Tensor, where: Tensor) -> Tensor:
    """(B, L) with the values of a block (B, S) at its places, where `where` is True."""
    places = places.clamp(max=whole.shape[1] - 1)
    rows, columns = where.nonzero(as_tuple=True)
    whole = whole.clone()
    whole[rows, places[rows, columns]] = block[rows, columns].to(whole.dtype)
    return whole


def almost_one_hot(token_ids: Tensor, vocabulary: int, scale: float) -> Tensor:
    """Logits (B, S, V) of tokens (B, S): `scale` at each token, minus `scale` elsewhere."""
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
