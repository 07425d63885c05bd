"""Keys and values of past positions, so that generation runs each block only on new tokens."""

from __future__ import annotations

from torch import Tensor

from models.attention import Rope, SelfAttention, _SplitNormRotate, attend
from models.layers import Block, layer_norm


class KeyValueCache:
    """Keys and values (B, H, L, C) of every layer, growing along L. For inference only.

    Args:
        num_layers: Layers to keep.
        capacity: Most positions.
    """

    def __init__(self, num_layers: int, capacity: int) -> None:
        self.length = 0
        self._capacity = capacity
        self._stored: list[tuple[Tensor, Tensor] | None] = [None] * num_layers

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, H, n, C) after `length` and return all up to there.

        `advance` moves `length` once every layer has been given its own.
        """
        end = self.length + keys.shape[2]
        stored = self._stored[layer]
        if stored is None:
            batch, heads, _, head_dim = keys.shape
            shape = (batch, heads, self._capacity, head_dim)
            stored = keys.new_empty(shape), values.new_empty(shape)
            self._stored[layer] = stored
        for kept, new in zip(stored, (keys, values), strict=True):
            kept[:, :, self.length : end] = new
        return stored[0][:, :, :end], stored[1][:, :, :end]

    def advance(self, num_tokens: int) -> None:
        self.length += num_tokens


def cached_block(
    block: Block, x: Tensor, rope: Rope, mask: Tensor | None, cache: KeyValueCache, layer: int
) -> Tensor:
    """`block(x, rope, mask)` where positions also see those in the cache.

    Args:
        block: A pre-norm block.
        x: (B, n, W) new positions.
        rope: Tables of the new positions.
        mask: Of the new positions over those in the cache and themselves (from `prepare_mask`).
        cache: Takes in the new keys and values.
        layer: Which of the cache's layers.
    """
    q, k, v = queries_keys_values(block.attn, layer_norm(x), rope)
    mixed = attend(q, *cache.append(layer, k, v), mask)  # (B, H, n, C)
    x = x + block.attn.proj(mixed.transpose(1, 2).reshape(x.shape))
    return x + block.mlp(layer_norm(x))


def queries_keys_values(
    attention: SelfAttention, x: Tensor, rope: Rope
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised and rotated heads (B, H, n, C) of x (B, n, W), the score scale in the queries."""
    batch, length, width = x.shape
    head_dim = width // attention.heads
    qkv = attention.qkv(x).view(batch, length, 3, attention.heads, head_dim)
    gain = attention.qk_gain.view(2, attention.heads)
    score_scale = gain.new_tensor([head_dim**-0.5, 1.0]).unsqueeze(1)
    return _SplitNormRotate.apply(qkv, gain * score_scale, *rope)
