"""What every causal network over corpus tokens shares: its loss, what texts cost, and writing.

Every text is preceded by the end-of-text token, so that its first token is predicted as well and
an empty prompt needs no special case. A text of n tokens asks for n + 1 predictions, the last of
them the end-of-text token, unless it fills the window and so has no end of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.chunked_cross_entropy import CrossEntropy, chunked_cross_entropy
from models.key_value_cache import KeyValueCache
from models.noise import uniform
from models.nucleus_sampling import sample_nucleus

EOT_ID = 0


class ContinuationNats(NamedTuple):
    """Per text: `total` nats of the continuation and `num_tokens` scored, both (B,) float64."""

    total: Tensor
    num_tokens: Tensor


class Written(NamedTuple):
    """A batch after one more position: tokens (B, window), `position`, its `logits` (B, V)."""

    token_ids: Tensor
    position: int
    logits: Tensor


class CausalModel(nn.Module, ABC):
    """A causal network; a subclass has its states and its head.

    Attributes:
        window: Longest text in tokens.
        num_layers: Layers that keep keys and values.
    """

    window: int
    num_layers: int

    @abstractmethod
    def head(self) -> tuple[Tensor, Tensor]:
        """Weight (V, W) and bias (V,) of the logits."""

    @abstractmethod
    def _hidden(self, inputs: Tensor) -> Tensor:
        """States (B, L, W) that the head sees, of inputs (B, L)."""

    @abstractmethod
    def _last_hidden(self, new: Tensor, cache: KeyValueCache) -> Tensor:
        """State (B, W) at the last of the tokens `new` (B, n), which join the cache."""

    def loss(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Mean cross entropy in nats per predicted token, end-of-text once a text.

        Args:
            token_ids: (B, L) int64.
            mask: (B, L) bool, True = a real token; real tokens come first.
        """
        return self._cross_entropy(token_ids, predicted_positions(mask)).loss

    @torch.no_grad()
    def continuation_nats(
        self, token_ids: Tensor, mask: Tensor, ctx_len: Tensor
    ) -> ContinuationNats:
        """Negative log likelihood of each text after its first `ctx_len` tokens.

        Args:
            token_ids: (B, L) int64.
            mask: (B, L) bool.
            ctx_len: (B,) int64 tokens that are given, not scored.

        Returns:
            Nats and number of scored tokens, end-of-text included, both (B,) float64.
        """
        positions = torch.arange(mask.shape[1], device=mask.device)
        scored = predicted_positions(mask) & (positions >= ctx_len[:, None])  # (B, L)
        nats = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
        nats[scored] = self._cross_entropy(token_ids, scored).nll.double()
        return ContinuationNats(nats.sum(dim=1), scored.sum(dim=1).double())

    def nats_per_token(self, token_ids: Tensor, mask: Tensor, ctx_len: Tensor) -> Tensor:
        """`continuation_nats` per scored token, (B,) float64; NaN where none is scored."""
        nats = self.continuation_nats(token_ids, mask, ctx_len)
        return nats.total / nats.num_tokens

    @torch.inference_mode()
    def generate(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        nucleus_p: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Continue prompts up to the window by nucleus sampling; see `write_tokens`.

        Args:
            prompt_ids: (B, P) int64, right-padded, P <= window.
            ctx_len: (B,) int64 in [0, P], tokens of the prompt to keep.
            nucleus_p: Probability mass to sample from, in (0, 1]; 1 = the whole distribution.
            generator: Of the random numbers.

        Returns:
            (B, window) int64: prompt, continuation, end-of-text to the end.
        """
        draws = uniform((len(prompt_ids), self.window), prompt_ids, generator)
        token_ids = self._framed(prompt_ids, ctx_len)
        for step in self.write_tokens(prompt_ids, ctx_len, nucleus_p, draws):
            token_ids = step.token_ids
        return token_ids

    @torch.inference_mode()
    def write_tokens(
        self, prompt_ids: Tensor, ctx_len: Tensor, nucleus_p: float, draws: Tensor
    ) -> Iterator[Written]:
        """Continue prompts token by token with a key-value cache, yielding every position.

        Every text and position has its own random number, so that a text does not depend on
        the lengths of the others in its batch. It stops once every text has ended. The yielded
        tokens are one tensor, written further between the yields.

        Args:
            prompt_ids: (B, P) int64, right-padded, P <= window.
            ctx_len: (B,) int64 in [0, P], tokens of the prompt to keep.
            nucleus_p: Probability mass to sample from, in (0, 1]; 1 = the whole distribution.
            draws: (B, window) uniform numbers in [0, 1).

        Raises:
            ValueError: `nucleus_p` or a length out of range.

        Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
        """
        token_ids = self._framed(prompt_ids, ctx_len)
        cache = KeyValueCache(self.num_layers, self.window + 1)
        ended = torch.zeros(len(token_ids), dtype=torch.bool, device=prompt_ids.device)
        start = int(ctx_len.min()) if len(token_ids) else self.window
        new = prepend_eot(token_ids[:, :start])  # end-of-text and what every prompt has
        for position in range(start, self.window):
            logits = self._next_logits(new, cache)
            sampled = sample_nucleus(logits, nucleus_p, draws[:, position])
            given = position < ctx_len
            sampled = torch.where(given, token_ids[:, position], sampled)
            sampled = torch.where(ended, EOT_ID, sampled)
            token_ids[:, position] = sampled
            ended |= ~given & (sampled == EOT_ID)
            yield Written(token_ids, position, logits)
            if bool(ended.all()):
                break
            new = sampled[:, None]

    def _framed(self, prompt_ids: Tensor, ctx_len: Tensor) -> Tensor:
        """Prompts in (B, window), end-of-text behind them; refuses lengths out of range."""
        batch, length = prompt_ids.shape
        if length > self.window or bool((ctx_len < 0).any() | (ctx_len > length).any()):
            raise ValueError(
                f"ctx_len must be between 0 and {length} tokens of prompt, these at most "
                f"{self.window}, got {ctx_len.tolist()}"
            )
        token_ids = prompt_ids.new_full((batch, self.window), EOT_ID)
        token_ids[:, :length] = prompt_ids
        return token_ids

    def _cross_entropy(self, token_ids: Tensor, predicted: Tensor) -> CrossEntropy:
        hidden = self._hidden(prepend_eot(token_ids)[:, :-1])[predicted]  # (N, W)
        weights = torch.ones(len(hidden), device=hidden.device)
        return chunked_cross_entropy(hidden, *self.head(), token_ids[predicted], weights)

    def _next_logits(self, new: Tensor, cache: KeyValueCache) -> Tensor:
        """Logits (B, V) after the tokens `new` (B, n), which join the cache."""
        weight, bias = self.head()
        return self._last_hidden(new, cache).float() @ weight.float().T + bias.float()


def prepend_eot(token_ids: Tensor) -> Tensor:
    """(B, 1 + L): the end-of-text token, then `token_ids` (B, L)."""
    return torch.cat([token_ids.new_full((len(token_ids), 1), EOT_ID), token_ids], dim=1)


def predicted_positions(mask: Tensor) -> Tensor:
    """(B, L) bool: the real tokens and, where the text leaves room, one end-of-text token."""
    lengths = mask.sum(dim=1, keepdim=True)
    return torch.arange(mask.shape[1], device=mask.device) <= lengths
