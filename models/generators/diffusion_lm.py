"""Diffusion-LM: Gaussian diffusion of learnt token embeddings, read by rounding.

Embeddings are learnt with the network that denoises them; a rounding loss keeps them apart. The
network predicts the clean embedding, and while writing each prediction may be clamped to the
nearest token. Deviations: a random beginning of every other text stays clean in training, so that
the network learns to continue (partial noising, as in DiffuSeq, arXiv 2210.08933); rotary
positions beside the learnt ones; the blocks are those of our other models.
Source: Li et al. 2022, arXiv 2205.14217, sections 4.1 to 4.3; its public code for the loss's terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from models.attention import RotaryTable
from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.generators import EmbeddingDiffusionConfig, EmbeddingSamplingConfig
from models.dit import TimestepEmbedder
from models.generators.control import Control
from models.generators.writing import WritingStep, state_halfway
from models.hub import PretrainedMixin
from models.layers import Block, compute_dtype, initialise, layer_norm
from models.noise import normal_like, own_draws, uniform


class DiffusionLM(nn.Module, PretrainedMixin):
    """A Transformer from noisy embeddings to clean ones, over whole windows of corpus tokens.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.
    """

    config_type = EmbeddingDiffusionConfig
    signal: Tensor

    def __init__(self, config: EmbeddingDiffusionConfig, generator: torch.Generator | None = None):
        super().__init__()
        vocabulary, self.window = config.sizes
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.embedding_width)
        self.roles = nn.Embedding(2, config.width)  # 0 noisy, 1 clean
        self.positions = nn.Embedding(self.window, config.width)
        self.t_embedder = TimestepEmbedder(config.width)
        self.up = nn.Linear(config.embedding_width, config.width)
        self.rotary = RotaryTable(config.width // config.heads, self.window)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        self.down = nn.Linear(config.width, config.embedding_width)
        self.register_buffer("signal", sqrt_schedule(config.diffusion_steps), persistent=False)
        initialise(self, generator)

    def training_loss(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Error of the predicted embedding, what is left of it at full noise, and rounding.

        The first term, `mse`, is over the positions behind the clean beginning; at the lowest
        noise level its target is the embedding itself. `rounding` is in nats per token.
        """
        batch, length = token_ids.shape
        share = 2 * uniform((batch, 1), token_ids, generator) - 1  # below 0: all is noisy
        clean = torch.arange(length, device=token_ids.device) < share * length  # (B, L)
        levels = uniform((batch,), token_ids, generator) * self.config.diffusion_steps
        level = levels.long()
        mean = self.embedding(token_ids)  # (B, L, D)
        start = mean + (1 - self.signal[0]).sqrt() * normal_like(mean, generator)
        signal = self.signal[level, None, None]
        noisy = signal.sqrt() * start + (1 - signal).sqrt() * normal_like(mean, generator)
        found = self._predict(torch.where(clean[..., None], mean, noisy), level, clean)
        target = torch.where((level == 0)[:, None, None], mean, start)
        errors = (found.float() - target.float()).square().mean(dim=-1)  # (B, L)
        mse = (errors * ~clean).sum() / (~clean).sum().clamp(min=1)
        left = self.signal[-1] * mean.float().square().mean()
        rounding = chunked_cross_entropy(
            start.flatten(0, 1),
            self.embedding.weight,
            self.embedding.weight.new_zeros(len(self.embedding.weight)),
            token_ids.flatten(),
            torch.ones(token_ids.numel(), device=token_ids.device),
        ).loss
        return {"loss": mse + left + rounding, "mse": mse, "rounding": rounding}

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Token embeddings, which are diffused, and the states halfway at the least noise."""
        embeddings = self.embedding(token_ids)
        level, noisy = token_ids.new_zeros(len(token_ids)), torch.zeros_like(token_ids).bool()
        middle = state_halfway(self.blocks, lambda: self._predict(embeddings, level, noisy))
        return {"embeddings": embeddings, "middle": middle}

    def write(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: EmbeddingSamplingConfig,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Denoise all positions behind the prompts at once; no token is settled before the end."""
        positions = torch.arange(prompt_ids.shape[1], device=prompt_ids.device)
        return self._denoise(prompt_ids, positions < ctx_len[:, None], sampling, generators)

    def controlled(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: EmbeddingSamplingConfig,
        generators: Sequence[torch.Generator],
        control: Control,
    ) -> Iterator[WritingStep]:
        """As `write`, every step being moved towards the class that `control` wants."""
        positions = torch.arange(prompt_ids.shape[1], device=prompt_ids.device)
        given = positions < ctx_len[:, None]
        return self._denoise(prompt_ids, given, sampling, generators, control)

    def infill(
        self,
        token_ids: Tensor,
        given: Tensor,
        sampling: EmbeddingSamplingConfig,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Denoise what is not given; see `Infiller`.

        A given beginning stays clean, as in training. What is given behind a gap has at every step
        the noise of that step, so that the network sees it as it learnt to see noisy text.
        """
        return self._denoise(token_ids, given, sampling, generators)

    @torch.inference_mode()
    def _denoise(
        self,
        prompt_ids: Tensor,
        given: Tensor,
        sampling: EmbeddingSamplingConfig,
        generators: Sequence[torch.Generator],
        control: Control | None = None,
    ) -> Iterator[WritingStep]:
        before = given.cumprod(dim=1).bool()
        if bool(given.all()):
            nothing = torch.full(given.shape, torch.nan, device=given.device)
            yield WritingStep(prompt_ids, given, nothing, 1.0, 0)
            return
        prompt = self.embedding(prompt_ids)
        behind = (given & ~before).any(dim=1)  # (B,) texts with something behind a gap
        z = self._noise(prompt, generators)
        grid = torch.linspace(self.config.diffusion_steps - 1, 0, sampling.num_steps).round().long()
        for number, level in enumerate(grid.tolist(), start=1):
            if bool(behind.any()):
                signal = self.signal[level]
                shape = tuple(prompt.shape[1:])
                drawn = own_draws(torch.randn, shape, generators, behind.tolist()).to(prompt)
                noisy = signal.sqrt() * prompt + (1 - signal).sqrt() * drawn
                z = torch.where(given[..., None], noisy, z)
            z = torch.where(before[..., None], prompt, z)
            levels = torch.full((len(z),), level, device=z.device)
            predicted = self._predict(z, levels, before)
            logits = predicted @ self.embedding.weight.T
            guess = self._nearest(predicted) if sampling.clamp else logits.argmax(dim=-1)
            if sampling.clamp:
                predicted = self.embedding(guess)
            last = number == len(grid)
            if not last:
                scale = posterior(self.signal[level], self.signal[grid[number]])
                mean = scale[0] * predicted + scale[1] * z
                z = mean + scale[2].sqrt() * self._noise(prompt, generators)
                if control is not None:
                    z = control.move(z, mean, scale[2], self.signal[grid[number]], ~given)
            entropy = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1)
            yield WritingStep(
                torch.where(given, prompt_ids, guess),
                given | last,
                entropy.masked_fill(given, torch.nan),
                number / len(grid),
                number,
            )

    def _predict(self, z: Tensor, level: Tensor, clean: Tensor) -> Tensor:
        """The clean embeddings (B, L, D) of z (B, L, D) at noise levels (B,)."""
        t = 1 - (level + 1) / self.config.diffusion_steps
        rope = self.rotary(z.shape[1], compute_dtype(z))
        where = self.positions(torch.arange(z.shape[1], device=z.device))  # (L, W)
        x = layer_norm(
            self.up(z) + self.roles(clean.long()) + where + self.t_embedder(t).unsqueeze(1)
        )
        for block in self.blocks:
            x = block(x, rope)
        return self.down(layer_norm(x))

    def _nearest(self, z: Tensor) -> Tensor:
        """Ids (B, L) of the embeddings with the smallest Euclidean distance."""
        return torch.cdist(z.float(), self.embedding.weight.float().expand(len(z), -1, -1)).argmin(
            dim=-1
        )

    def _noise(self, reference: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Standard normal numbers like `reference` (B, L, D), each text's from its generator."""
        return own_draws(torch.randn, tuple(reference.shape[1:]), generators).to(reference)


def sqrt_schedule(num_steps: int) -> Tensor:
    """(num_steps,) share of the signal's variance left at each noise level, lowest noise first.

    abar(s) = 1 - sqrt(s + 1e-4) at s = (i + 1) / num_steps, relative to s = 0, every step keeping
    at least a thousandth of what the one before had.
    """
    s = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    signal = (1 - (s + 1e-4).sqrt()).clamp(min=0)
    kept = (signal[1:] / signal[:-1]).clamp(min=1e-3)
    return kept.cumprod(dim=0).float()


def posterior(signal: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the clean embedding and of the noisy one, and the variance, one level down.

    The mean and variance of q(z_earlier | z, clean) in a chain whose levels are `signal` and the
    less noisy `earlier`. Source: Ho et al. 2020, arXiv 2006.11239, eq. 7.
    """
    step = 1 - signal / earlier
    of_clean = earlier.sqrt() * step / (1 - signal)
    of_noisy = (signal / earlier).sqrt() * (1 - earlier) / (1 - signal)
    return of_clean, of_noisy, step * (1 - earlier) / (1 - signal)
