"""A small causal Transformer over corpus tokens: judge, autoregressive baseline, own teacher.

Every text is preceded by the end-of-text token, so that its first token is predicted as well and
an empty prompt needs no special case. A text of n tokens asks for n + 1 predictions, the last of
them the end-of-text token, unless it fills the window and so has no end of its own.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from models.attention import Rope, RotaryTable, prepare_mask
from models.chunked_cross_entropy import CrossEntropy, chunked_cross_entropy
from models.configs.language_model import CausalLMConfig
from models.hub import PretrainedMixin
from models.key_value_cache import KeyValueCache, cached_block
from models.layers import Block, compute_dtype, initialise, layer_norm
from models.noise import uniform
from models.nucleus_sampling import sample_nucleus

EOT_ID = 0


class ContinuationNats(NamedTuple):
    """Per text: `total` nats of the continuation and `num_tokens` scored, both (B,) float64."""

    total: Tensor
    num_tokens: Tensor


class CausalLM(nn.Module, PretrainedMixin):
    """Pre-norm causal Transformer with RoPE and a tied vocabulary head.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.
    """

    config_type = CausalLMConfig

    def __init__(self, config: CausalLMConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if config.vocab_size is None or config.window is None:
            raise ValueError(
                "vocab_size and window must be set to build a CausalLM, got "
                f"{config.vocab_size} and {config.window}"
            )
        self.config = config
        self.window = config.window
        self.num_layers = config.layers
        self.width = config.width
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.head_bias = nn.Parameter(torch.zeros(config.vocab_size))
        # One position more than the window: the end-of-text token in front.
        self.rotary = RotaryTable(config.width // config.heads, config.window + 1)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.layers)
        )
        initialise(self, generator)
        with torch.no_grad():
            self.token_embedding.weight.mul_(config.init_std)

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

    @torch.no_grad()
    def hidden_states(self, token_ids: Tensor) -> list[Tensor]:
        """States (B, L, W) at every token: embeddings, then each block's output.

        The last one is normalised, as the head sees it.
        """
        x, rope, mask = self._embed(prepend_eot(token_ids))
        states = [x[:, 1:]]
        for block in self.blocks:
            x = block(x, rope, mask)
            states.append(x[:, 1:])
        states[-1] = layer_norm(states[-1])
        return states

    @torch.inference_mode()
    def generate(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        nucleus_p: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Continue prompts up to the window by nucleus sampling with a key-value cache.

        Every text and position has its own random number, so that a text does not depend on
        the lengths of the others in its batch.

        Args:
            prompt_ids: (B, P) int64, right-padded, P <= window.
            ctx_len: (B,) int64 in [0, P], tokens of the prompt to keep.
            nucleus_p: Probability mass to sample from, in (0, 1]; 1 = the whole distribution.
            generator: Of the random numbers.

        Returns:
            (B, window) int64: prompt, continuation, end-of-text to the end.

        Raises:
            ValueError: `nucleus_p` or a length out of range.

        Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
        """
        batch, length = prompt_ids.shape
        if length > self.window or bool((ctx_len < 0).any() | (ctx_len > length).any()):
            raise ValueError(
                f"ctx_len must be between 0 and {length} tokens of prompt, these at most "
                f"{self.window}, got {ctx_len.tolist()}"
            )
        token_ids = torch.full(
            (batch, self.window), EOT_ID, dtype=torch.long, device=prompt_ids.device
        )
        token_ids[:, :length] = prompt_ids
        draws = uniform((batch, self.window), self.head_bias, generator)
        cache = KeyValueCache(self.num_layers, self.window + 1)
        ended = torch.zeros(batch, dtype=torch.bool, device=prompt_ids.device)
        start = int(ctx_len.min()) if batch else self.window
        new = prepend_eot(token_ids[:, :start])  # end-of-text and what every prompt has
        for position in range(start, self.window):
            logits = self._next_logits(new, cache)
            sampled = sample_nucleus(logits, nucleus_p, draws[:, position])
            given = position < ctx_len
            sampled = torch.where(given, token_ids[:, position], sampled)
            sampled = torch.where(ended, EOT_ID, sampled)
            token_ids[:, position] = sampled
            ended |= ~given & (sampled == EOT_ID)
            if bool(ended.all()):
                break
            new = sampled[:, None]
        return token_ids

    def _cross_entropy(self, token_ids: Tensor, predicted: Tensor) -> CrossEntropy:
        hidden = self._hidden(prepend_eot(token_ids)[:, :-1])[predicted]  # (N, W)
        return chunked_cross_entropy(
            hidden,
            self.token_embedding.weight,
            self.head_bias,
            token_ids[predicted],
            torch.ones(len(hidden), device=hidden.device),
        )

    def _hidden(self, inputs: Tensor) -> Tensor:
        x, rope, mask = self._embed(inputs)
        for block in self.blocks:
            x = block(x, rope, mask)
        return layer_norm(x)

    def _embed(self, inputs: Tensor) -> tuple[Tensor, Rope, Tensor]:
        """Unit-scale embeddings (B, L, W), rotary tables and the causal mask of `inputs`."""
        batch, length = inputs.shape
        x = layer_norm(self.token_embedding(inputs))
        dtype = compute_dtype(x)
        allowed = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        mask = prepare_mask(allowed.expand(batch, 1, -1, -1), self.config.heads, dtype)
        return x, self.rotary(length, dtype), mask

    def _next_logits(self, new: Tensor, cache: KeyValueCache) -> Tensor:
        """Logits (B, V) after the tokens `new` (B, n), which join the cache."""
        past = cache.length
        if past == 0:
            x, rope, mask = self._embed(new)
        else:
            x, mask = layer_norm(self.token_embedding(new)), None
            table = self.rotary(past + new.shape[1], compute_dtype(x))
            rope = Rope(table.cos[past:], table.sin[past:])
        for layer, block in enumerate(self.blocks):
            x = cached_block(cast(Block, block), x, rope, mask, cache, layer)
        cache.advance(new.shape[1])
        hidden = layer_norm(x[:, -1])
        return hidden.float() @ self.token_embedding.weight.float().T + self.head_bias.float()


def prepend_eot(token_ids: Tensor) -> Tensor:
    """(B, 1 + L): the end-of-text token, then `token_ids` (B, L)."""
    return torch.cat([token_ids.new_full((len(token_ids), 1), EOT_ID), token_ids], dim=1)


def predicted_positions(mask: Tensor) -> Tensor:
    """(B, L) bool: the real tokens and, where the text leaves room, one end-of-text token."""
    lengths = mask.sum(dim=1, keepdim=True)
    return torch.arange(mask.shape[1], device=mask.device) <= lengths
