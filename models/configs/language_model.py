"""Settings of the causal language model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.configs.checks import added, check_heads


@dataclass(frozen=True, kw_only=True, slots=True)
class CausalLMConfig:
    """Sizes of the causal language model.

    Args:
        vocab_size: Tokens of the corpus; None = filled from the corpus.
        window: Longest text in tokens, end-of-text included; None = filled from the corpus.
        width: Width of the residual stream, a multiple of 2 * heads.
        layers: Transformer blocks.
        heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward nets, in units of `width`.
        init_std: Std of the initial embeddings, which are the head as well. At 1, as it once was,
            the first logits have a std of sqrt(width) and the first loss is tens of nats.
    """

    vocab_size: int | None = None
    window: int | None = None
    width: int = 128
    layers: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    init_std: float = added(0.02, before=1.0)

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads, self.mlp_ratio)
        for field, least in (("vocab_size", 2), ("window", 1), ("layers", 1)):
            value = getattr(self, field)
            if value is not None and value < least:
                raise ValueError(f"{field} must be >= {least}, got {value}")
        if not 0 < self.init_std < math.inf:
            raise ValueError(f"init_std must be > 0 and finite, got {self.init_std}")
