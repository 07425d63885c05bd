"""Settings of the families of generators: each has a network, and a way of writing with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from models.configs.checks import check_choice, check_heads

Projection = Literal["sampled", "multi-hot"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenNetworkConfig:
    """Sizes of a Transformer that reads and writes tokens; GPT-2's and the masked model's.

    Args:
        vocab_size: Tokens of the corpus; filled from the corpus.
        window: Longest text in tokens; filled from the corpus.
        width: Width of the residual stream, a multiple of 2 * heads.
        layers: Transformer blocks.
        heads: Attention heads.
        mlp_ratio: Hidden width of the feed-forward nets, in units of `width`.
    """

    vocab_size: int | None = None
    window: int | None = None
    width: int = 128
    layers: int = 4
    heads: int = 4
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads, self.mlp_ratio)
        for field, least in (("vocab_size", 2), ("window", 1), ("layers", 1)):
            value = getattr(self, field)
            if value is not None and value < least:
                raise ValueError(f"{field} must be >= {least}, got {value}")

    @property
    def sizes(self) -> tuple[int, int]:
        """`vocab_size` and `window`.

        Raises:
            ValueError: one of them is not set.
        """
        if self.vocab_size is None or self.window is None:
            raise ValueError(
                "vocab_size and window must be set to build a network, got "
                f"{self.vocab_size} and {self.window}"
            )
        return self.vocab_size, self.window


@dataclass(frozen=True, kw_only=True, slots=True)
class NucleusConfig:
    """Writing token by token.

    Args:
        nucleus: Probability mass that is sampled from; 1 = the whole distribution.
    """

    nucleus: float = 0.95

    def __post_init__(self) -> None:
        check_nucleus(self.nucleus)


@dataclass(frozen=True, kw_only=True, slots=True)
class RemaskingConfig:
    """Writing by revealing masks, the most confident first, in blocks from left to right.

    Args:
        num_steps: Steps over the whole text.
        blocks: Parts of a text that are written one after another; 1 = all at once.
        temperature: Of the Gumbel noise on the logits; 0 takes the likeliest token.
        guidance_scale: 1 is off, 0 unconditional. LLaDA's own scale is this minus 1.
    """

    num_steps: int = 32
    blocks: int = 4
    temperature: float = 1.0
    guidance_scale: float = 1.0

    def __post_init__(self) -> None:
        for field in ("num_steps", "blocks"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be >= 1, got {getattr(self, field)}")
        if self.num_steps < self.blocks:
            raise ValueError(
                f"num_steps must be at least one per block, got {self.num_steps} "
                f"and blocks {self.blocks}"
            )
        for field in ("temperature", "guidance_scale"):
            if not 0 <= getattr(self, field) < math.inf:
                raise ValueError(f"{field} must be >= 0 and finite, got {getattr(self, field)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockDiffusionConfig(TokenNetworkConfig):
    """Sizes of a masked model that writes block after block.

    Args:
        block_size: Tokens of a block; from the window on it is one block.
    """

    block_size: int = 8

    def __post_init__(self) -> None:
        TokenNetworkConfig.__post_init__(self)
        if self.block_size < 1:
            raise ValueError(f"block_size must be >= 1, got {self.block_size}")


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockRemaskingConfig:
    """Writing by revealing masks, the most confident first, in the blocks of the network.

    Args:
        num_steps: Steps in each block.
        temperature: Of the Gumbel noise on the logits; 0 takes the likeliest token.
    """

    num_steps: int = 8
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_steps(self.num_steps)
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be >= 0 and finite, got {self.temperature}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SimplexDiffusionConfig(BlockDiffusionConfig):
    """Sizes of a Transformer that denoises logits of tokens, block after block.

    Args:
        simplex: Logit of a token at its own place, minus its logit elsewhere; and the standard
            deviation of the noise.
        diffusion_steps: Noise levels of the training.
    """

    simplex: float = 5.0
    diffusion_steps: int = 5000

    def __post_init__(self) -> None:
        BlockDiffusionConfig.__post_init__(self)
        if not 0 < self.simplex < math.inf:
            raise ValueError(f"simplex must be > 0 and finite, got {self.simplex}")
        if self.diffusion_steps < 2:
            raise ValueError(f"diffusion_steps must be >= 2, got {self.diffusion_steps}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SimplexSamplingConfig:
    """Writing by denoising the logits of one block after another.

    Args:
        num_steps: Noise levels that are visited in each block, evenly spaced. The original takes
            1,000 for blocks of 25 tokens.
        projection: What the next step starts from: a token `sampled` from the nucleus, or all
            tokens of it at once (`multi-hot`).
        nucleus: Probability mass that is sampled from, or kept; next to 0 it is the likeliest
            token.
    """

    num_steps: int = 100
    projection: Projection = "sampled"
    nucleus: float = 0.95

    def __post_init__(self) -> None:
        check_steps(self.num_steps)
        check_choice("projection", self.projection, Projection)
        check_nucleus(self.nucleus)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingDiffusionConfig(TokenNetworkConfig):
    """Sizes of a Transformer that denoises token embeddings, and the steps of its noise.

    Args:
        embedding_width: Width of the learnt embeddings that are diffused.
        diffusion_steps: Noise levels of the training.
    """

    embedding_width: int = 64
    diffusion_steps: int = 2000

    def __post_init__(self) -> None:
        TokenNetworkConfig.__post_init__(self)
        for field, least in (("embedding_width", 1), ("diffusion_steps", 2)):
            if getattr(self, field) < least:
                raise ValueError(f"{field} must be >= {least}, got {getattr(self, field)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingSamplingConfig:
    """Writing by denoising embeddings.

    Args:
        num_steps: Noise levels that are visited, evenly spaced; at most those of the training are
            different. The original takes 200 of its 2,000 for speed, and all of them at best.
        clamp: Move each predicted embedding to the nearest token's before it is used.
    """

    num_steps: int = 200
    clamp: bool = True

    def __post_init__(self) -> None:
        check_steps(self.num_steps)


def check_steps(num_steps: int) -> None:
    """Refuse a number of steps below one.

    Raises:
        ValueError: named and with its value.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")


def check_nucleus(nucleus: float) -> None:
    """Refuse a probability mass outside (0, 1].

    Raises:
        ValueError: named and with its value.
    """
    if not 0 < nucleus <= 1:
        raise ValueError(f"nucleus must lie in (0, 1], got {nucleus}")
