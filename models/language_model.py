"""A small causal Transformer over corpus tokens: judge, autoregressive baseline, own teacher.

Loss and writing are those of every causal network, see `models.causal`.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from models.attention import Rope, RotaryTable, prepare_mask
from models.causal import CausalModel, prepend_eot
from models.configs.language_model import CausalLMConfig
from models.hub import PretrainedMixin
from models.key_value_cache import KeyValueCache, cached_block
from models.layers import Block, compute_dtype, initialise, layer_norm


class CausalLM(CausalModel, PretrainedMixin):
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

    def head(self) -> tuple[Tensor, Tensor]:
        return self.token_embedding.weight, self.head_bias

    def _last_hidden(self, new: Tensor, cache: KeyValueCache) -> Tensor:
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
        return layer_norm(x[:, -1])
