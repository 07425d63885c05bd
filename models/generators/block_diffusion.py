"""Block diffusion: masked diffusion inside blocks, which are written from left to right.

A block sees itself, masks included, and the finished blocks before it. In training every block of
a text has its own masking rate, and all are learnt in one pass: a stream with masks, whose blocks
see the clean blocks before them in a second stream. One block as long as the window is the plain
masked model. Of finished blocks keys and values are kept. Deviation: no clipped noise schedule.
Source: Arriola et al. 2025 (BD3-LM), arXiv 2503.09573, eq. 4 and 8, section 3.2, and its mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from models.attention import Rope, prepare_mask
from models.causal import EOT_ID
from models.configs.generators import BlockDiffusionConfig
from models.generators.masked_diffusion import (
    LEAST_RATE,
    MaskedDiffusion,
    Reading,
    reveal_block,
)
from models.generators.writing import WritingStep
from models.key_value_cache import KeyValueCache, cached_block
from models.layers import Block, compute_dtype, layer_norm
from models.noise import uniform


class BlockDiffusion(MaskedDiffusion):
    """A `MaskedDiffusion` that sees nothing behind the block it writes.

    Args:
        config: Sizes; `vocab_size` and `window` must be set.
        generator: Of the initial weights; None = torch's global one.

    Raises:
        ValueError: `vocab_size` or `window` is not set.
    """

    config_type = BlockDiffusionConfig

    def __init__(self, config: BlockDiffusionConfig, generator: torch.Generator | None = None):
        super().__init__(config, generator)
        self.block_size = min(config.block_size, self.window)

    def infill(
        self,
        token_ids: Tensor,
        given: Tensor,
        sampling: Any,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Refused: a block sees nothing of what stands behind it."""
        raise ValueError("a block sees nothing behind it, so a middle part cannot be filled in")

    def _rates(self, token_ids: Tensor, generator: torch.Generator) -> Tensor:
        batch, length = token_ids.shape
        t = uniform((batch, -(-length // self.block_size)), token_ids, generator)
        rates = (1 - LEAST_RATE) * t + LEAST_RATE
        return rates.repeat_interleave(self.block_size, dim=1)[:, :length]

    def _denoised(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """States (B, L, W) of every block with masks behind the clean blocks before it."""
        length = noisy.shape[1]
        before = (length - 1) // self.block_size * self.block_size  # what a later block sees
        return self._streams(noisy, clean[:, :before])[:, :length]

    def _hidden(self, token_ids: Tensor) -> Tensor:
        """States (B, L, W) of texts (B, L), masks included; a block sees those up to itself."""
        return self._streams(token_ids[:, :0], token_ids)

    def _streams(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """States of the noisy blocks (B, N), then of the clean ones (B, C)."""
        x = layer_norm(self.token_embedding(torch.cat([noisy, clean], dim=1)))
        table = self.rotary(max(noisy.shape[1], clean.shape[1]), compute_dtype(x))
        positions = [torch.arange(part.shape[1], device=x.device) for part in (noisy, clean)]
        rope = Rope(*(side[torch.cat(positions)] for side in table))
        allowed = stream_mask(*(part // self.block_size for part in positions))
        return self._through(x, rope, self._mask(allowed, x))

    def _schedule(self, ctx_len: Tensor, sampling: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Blocks stand where they stood in training; the first may hold the end of the prompt."""
        first = int(ctx_len.min()) // self.block_size if len(ctx_len) else self.window
        for left in range(first * self.block_size, self.window, self.block_size):
            right = min(left + self.block_size, self.window)
            start, end = ((edge - ctx_len).clamp(min=0) for edge in (left, right))
            yield from reveal_block(start, end, sampling.num_steps)

    def _guided(self, token_ids: Tensor, given: Tensor, sampling: Any) -> tuple[Tensor, int]:
        """Logits (B, L, V), and one evaluation: there is no guidance."""
        return self.logits(token_ids), 1

    def _reader(self, given: Tensor, sampling: Any) -> Callable[[Tensor], Reading]:
        """Reads the first block with a mask, and of finished ones keeps keys and values."""
        if self.block_size == self.window:
            return super()._reader(given, sampling)
        cache = KeyValueCache(len(self.blocks), self.window)
        return lambda token_ids: self._open_block(token_ids, cache)

    def _open_block(self, token_ids: Tensor, cache: KeyValueCache) -> Reading:
        masked = (token_ids == self.mask_id).any(dim=0)
        left = int(masked.byte().argmax()) // self.block_size * self.block_size
        right, past = min(left + self.block_size, self.window), cache.length
        x = layer_norm(self.token_embedding(token_ids[:, past:right]))
        rope = Rope(*(side[past:] for side in self.rotary(right, compute_dtype(x))))
        block = torch.arange(right, device=x.device) // self.block_size
        mask = self._mask(block[past:, None] >= block, x)
        for layer, part in enumerate(self.blocks):
            x = cached_block(cast(Block, part), x, rope, mask, cache, layer)
        cache.advance(left - past)  # the open block's own are written over
        positions = torch.arange(self.window, device=x.device)
        predicted = (left <= positions) & (positions < right)
        logits = x.new_zeros(*token_ids.shape, self.mask_id, dtype=torch.float32)
        logits[:, predicted] = self._token_logits(layer_norm(x[:, left - past :]))
        return Reading(logits, predicted, 1)

    def _mask(self, allowed: Tensor, x: Tensor) -> Tensor | None:
        """Who sees whom (N, L) as attention wants it, for states x; None where all see all."""
        if bool(allowed.all()):
            return None
        shared = allowed.expand(len(x), 1, -1, -1)
        return prepare_mask(shared, self.config.heads, compute_dtype(x))

    def _drawing(self, open_: Tensor) -> list[bool] | None:
        """A text draws while one of its own blocks is open, so that it does not see the others."""
        return open_.tolist()

    def _ended(self, token_ids: Tensor, given: Tensor) -> Tensor:
        """Nothing but end-of-text follows a finished block that has one."""
        positions = torch.arange(token_ids.shape[1], device=token_ids.device)
        block = (positions // self.block_size).expand(token_ids.shape)
        masked = token_ids == self.mask_id
        first_open = block.masked_fill(~masked, self.window).amin(dim=1)  # (B,)
        end = block.masked_fill(given | (token_ids != EOT_ID), self.window).amin(dim=1)
        return token_ids.masked_fill(masked & (end < first_open)[:, None], EOT_ID)


def stream_mask(noisy: Tensor, clean: Tensor) -> Tensor:
    """(N + C, N + C) bool: who sees whom, by the numbers of the blocks of both streams.

    A position with masks sees its own block, and clean blocks before it; a clean one sees the
    clean blocks up to its own.
    """
    own = noisy[:, None] == noisy
    earlier = noisy[:, None] > clean
    upto = clean[:, None] >= clean
    never = torch.zeros_like(earlier.T)
    return torch.cat([torch.cat([own, earlier], dim=1), torch.cat([never, upto], dim=1)])
