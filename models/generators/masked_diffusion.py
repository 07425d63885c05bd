"""Masked diffusion: a Transformer that sees both sides learns to fill in masks at every rate.

A text is written by masking all of it and revealing the most confident guesses step by step, in
blocks from left to right. Positions behind a text's end hold end-of-text tokens, which are learnt
like any other, so that the model decides how long a text is.
Source: Nie et al. 2025 (LLaDA), arXiv 2502.09992, eq. 3, algorithms 4 and 5, and its public code
for the Gumbel noise and the split of steps over blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.attention import Rope, RotaryTable
from models.causal import EOT_ID
from models.chunked_cross_entropy import chunked_cross_entropy
from models.configs.generators import TokenNetworkConfig
from models.generators.writing import WritingStep, state_halfway
from models.hub import PretrainedMixin
from models.layers import Block, compute_dtype, initialise, layer_norm
from models.noise import own_draws, uniform

LEAST_RATE = 1e-3  # of masking, which bounds the weights of the loss
INIT_STD = 0.02


class MaskedDiffusion(nn.Module, PretrainedMixin):
    """A Transformer over whole windows of corpus tokens and masks.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.
    """

    config_type = TokenNetworkConfig

    def __init__(self, config: TokenNetworkConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.mask_id, self.window = config.sizes  # the id behind the last token
        self.token_embedding = nn.Embedding(self.mask_id + 1, config.width)
        self.head_bias = nn.Parameter(torch.zeros(self.mask_id))
        self.rotary = RotaryTable(config.width // config.heads, self.window)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        initialise(self, generator)
        with torch.no_grad():
            self.token_embedding.weight.mul_(INIT_STD)

    def training_loss(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross entropy at masked positions over their rate, in nats per token of the window.

        t is uniform in [0, 1) for each text; a position is masked with probability
        (1 - 1e-3) t + 1e-3. It bounds the negative log likelihood from above.
        """
        rates = self._rates(token_ids, generator)
        masked = uniform(tuple(token_ids.shape), token_ids, generator) < rates
        noisy = token_ids.masked_fill(masked, self.mask_id)
        hidden = self._denoised(noisy, token_ids)[masked]  # (N, W)
        weights = (1 / rates)[masked]
        found = chunked_cross_entropy(
            hidden, self._head(), self.head_bias, token_ids[masked], weights
        )
        return {
            "loss": found.loss * weights.sum() / token_ids.numel(),
            "token_accuracy": found.correct.float().mean(),
        }

    def logits(self, token_ids: Tensor) -> Tensor:
        """Logits (B, L, V) of the token at every position of token_ids (B, L), masks included."""
        return self._token_logits(self._hidden(token_ids))

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Token embeddings, and the states halfway of texts without a mask."""
        middle = state_halfway(self.blocks, lambda: self._hidden(token_ids))
        return {"embeddings": self.token_embedding(token_ids), "middle": middle}

    def write(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: Any,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Reveal every text's masks over the same steps, however long its prompt is.

        What a text draws at a step, it draws for the whole window; without a temperature nothing.
        """
        positions = torch.arange(prompt_ids.shape[1], device=prompt_ids.device)
        return self._reveal(prompt_ids, positions < ctx_len[:, None], sampling, generators)

    def infill(
        self,
        token_ids: Tensor,
        given: Tensor,
        sampling: Any,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Reveal the tokens that are not given, wherever they stand; see `Infiller`."""
        return self._reveal(token_ids, given, sampling, generators)

    @torch.inference_mode()
    def _reveal(
        self, token_ids: Tensor, given: Tensor, sampling: Any, generators: Sequence[torch.Generator]
    ) -> Iterator[WritingStep]:
        place = (~given).cumsum(dim=1) - 1  # the how-manieth of the tokens to write
        prompt_ids, ctx_len = token_ids, given.sum(dim=1)
        token_ids = prompt_ids.masked_fill(~given, self.mask_id)
        entropy = torch.full(given.shape, torch.nan, device=given.device)
        if bool(given.all()):
            yield WritingStep(token_ids, given, entropy, 1.0, 0)
            return
        nfe, read = 0, self._reader(given, sampling)
        schedule = list(self._schedule(ctx_len, sampling))
        for number, (start, end, count) in enumerate(schedule, start=1):
            logits, predicted, evaluations = read(token_ids)
            nfe += evaluations
            noise = self._noise(end > start, sampling.temperature, generators)
            guess = most_confident(logits, sampling.temperature, noise)
            masked = token_ids == self.mask_id
            open_ = masked & (start[:, None] <= place) & (place < end[:, None])
            revealed = first_of(guess.confidence, open_, count)
            guessed = torch.where(masked, guess.token_ids.where(predicted, EOT_ID), token_ids)
            entropy = torch.where(masked & predicted, guess.entropy, entropy)
            token_ids = torch.where(revealed, guess.token_ids, token_ids)
            token_ids = self._ended(token_ids, given)
            written = token_ids != self.mask_id
            done = bool(written.all())
            guessed = torch.where(written, token_ids, guessed)
            yield WritingStep(
                guessed, written, entropy, 1.0 if done else number / len(schedule), nfe
            )
            if done:
                return

    def _rates(self, token_ids: Tensor, generator: torch.Generator) -> Tensor:
        """Rates of masking (B, L) of texts, one drawn for each text."""
        t = uniform((len(token_ids), 1), token_ids, generator)
        return ((1 - LEAST_RATE) * t + LEAST_RATE).expand(token_ids.shape)

    def _denoised(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """States (B, L, W) of texts with masks; `clean` (B, L) has none."""
        return self._hidden(noisy)

    def _ended(self, token_ids: Tensor, given: Tensor) -> Tensor:
        """Texts (B, L) with the masks filled that no step is spent on; here none."""
        return token_ids

    def _schedule(self, ctx_len: Tensor, sampling: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """What `reveal_schedule` yields, of every step."""
        return reveal_schedule(self.window - ctx_len, sampling.num_steps, sampling.blocks)

    def _reader(self, given: Tensor, sampling: Any) -> Callable[[Tensor], Reading]:
        """What reads texts (B, L) at each step of their writing."""
        everywhere = torch.ones(given.shape[1], dtype=torch.bool, device=given.device)

        def read(token_ids: Tensor) -> Reading:
            logits, evaluations = self._guided(token_ids, given, sampling)
            return Reading(logits, everywhere, evaluations)

        return read

    def _guided(self, token_ids: Tensor, given: Tensor, sampling: Any) -> tuple[Tensor, int]:
        """Logits (B, L, V) and evaluations: two unless the scale is 1 (off) or 0 (no prompt)."""
        scale = sampling.guidance_scale
        if scale == 1:
            return self.logits(token_ids), 1
        without = self.logits(token_ids.masked_fill(given, self.mask_id))
        if scale == 0:
            return without, 1
        return torch.lerp(without, self.logits(token_ids), scale), 2

    def _noise(
        self, open_: Tensor, temperature: float, generators: Sequence[torch.Generator]
    ) -> Tensor | None:
        """(B, window, V) float64 uniform numbers, each text's from its own generator.

        `open_` (B,) says in which texts a block is open.
        """
        if temperature == 0 or not generators:
            return None
        shape = (self.window, self.mask_id)
        return own_draws(torch.rand, shape, generators, self._drawing(open_), torch.float64).to(
            open_.device
        )

    def _drawing(self, open_: Tensor) -> list[bool] | None:
        """Which texts draw, of `open_` (B,), those in which a block is open; None = all."""
        return None

    def _token_logits(self, hidden: Tensor) -> Tensor:
        return hidden.float() @ self._head().float().T + self.head_bias.float()

    def _head(self) -> Tensor:
        return self.token_embedding.weight[: self.mask_id]

    def _hidden(self, token_ids: Tensor) -> Tensor:
        """States (B, L, W) of texts (B, L), masks included; every position sees every other."""
        x = layer_norm(self.token_embedding(token_ids))
        return self._through(x, self.rotary(token_ids.shape[1], compute_dtype(x)), None)

    def _through(self, x: Tensor, rope: Rope, mask: Tensor | None) -> Tensor:
        """The blocks, and the norm behind them, on x (B, L, W)."""
        for block in self.blocks:
            x = block(x, rope, mask)
        return layer_norm(x)


class Reading(NamedTuple):
    """Logits of the tokens of texts, at which positions they stand, and what they cost."""

    logits: Tensor  # (B, L, V)
    predicted: Tensor  # (L,) bool
    evaluations: int


class Guess(NamedTuple):
    """A token for every position, how probable the model holds it, and its entropy in nats."""

    token_ids: Tensor  # (B, L) int64
    confidence: Tensor  # (B, L) float64
    entropy: Tensor  # (B, L) float32


def most_confident(logits: Tensor, temperature: float, noise: Tensor | None) -> Guess:
    """Draw a token for every position by the Gumbel trick, in float64.

    In a lower precision the largest values of Gumbel noise are lost, and quality with them.

    Args:
        logits: (B, L, V).
        temperature: Of the noise; the confidence is that of the logits without it.
        noise: (B, L, V) uniform numbers in [0, 1); None = no noise.

    Source: Zheng et al. 2024, arXiv 2409.02908, for the precision.
    """
    precise = logits.double()
    noisy = precise if noise is None else precise - temperature * (-noise.log()).log()
    token_ids = noisy.argmax(dim=-1)
    probabilities = precise.softmax(dim=-1)
    confidence = probabilities.gather(-1, token_ids[..., None]).squeeze(-1)
    return Guess(token_ids, confidence, torch.special.entr(probabilities).sum(dim=-1).float())


def first_of(confidence: Tensor, candidates: Tensor, count: Tensor) -> Tensor:
    """(B, L) bool: in each row the `count` (B,) candidates with the highest confidence."""
    ranked = confidence.masked_fill(~candidates, -1.0).argsort(dim=1, descending=True, stable=True)
    return candidates & (ranked.argsort(dim=1) < count[:, None])


def reveal_schedule(
    lengths: Tensor, num_steps: int, blocks: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For every step the block that is open in each text and how many masks it reveals.

    Texts of any length are divided into the same number of blocks, so that they share their steps.
    Within a block the first steps reveal one more where the masks do not divide evenly.

    Args:
        lengths: (B,) int64 positions to write.
        num_steps: Steps over all blocks; the first blocks take one more where needed.
        blocks: At most `num_steps`.

    Yields:
        `start` and `end` of the block, counted from the end of the prompt, and `count`: (B,) each.
    """
    for block in range(blocks):
        start, end = lengths * block // blocks, lengths * (block + 1) // blocks
        steps = num_steps // blocks + (block < num_steps % blocks)
        yield from reveal_block(start, end, steps)


def reveal_block(
    start: Tensor, end: Tensor, num_steps: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The steps of one block (B,) to (B,), as `reveal_schedule` yields them."""
    size = end - start
    for step in range(num_steps):
        yield start, end, size // num_steps + (step < size % num_steps).long()
