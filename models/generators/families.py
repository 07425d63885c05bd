"""The table of families: everything that the engine knows about one is its entry here.

It loads nothing heavy: a family's network is imported when it is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.configs.generators import (
    BlockDiffusionConfig,
    BlockRemaskingConfig,
    EmbeddingDiffusionConfig,
    EmbeddingSamplingConfig,
    NucleusConfig,
    RemaskingConfig,
    SimplexDiffusionConfig,
    SimplexSamplingConfig,
    TokenNetworkConfig,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One kind of generator.

    Attributes:
        what: One line for listings.
        network: Class of its network's settings, with `vocab_size` and `window`.
        sampling: Class of its settings of writing.
        model: Imports and returns the network's class, a `writing.Writer`.
        streams: How often a training step reads a text; its compute is multiplied by it.
        learns_padding: It learns the end-of-text tokens up to the window as part of a text.
        has_masks: What is not settled yet is a mask to the model, and shown as one.
        infills: It can write around what is given anywhere, as a gap or a word: an `Infiller`.
        controls: A classifier of its noisy states can move it towards a label.
        released: Imports and returns the class that reads released weights by name; None = none
            can be read.
    """

    what: str
    network: type
    sampling: type
    model: Callable[[], type]
    streams: int = 1
    learns_padding: bool = False
    has_masks: bool = False
    infills: bool = False
    controls: bool = False
    released: Callable[[], type] | None = None

    def options(self) -> tuple[str, ...]:
        """Names of the settings of writing."""
        return tuple(field.name for field in dataclasses.fields(self.sampling))

    def tasks(self) -> tuple[str, ...]:
        """What it can be asked for; every family continues a prompt, an empty one included."""
        more = {
            "infilling": self.infills,
            "control by a label": self.controls,
            "control by a keyword": self.infills,
        }
        return ("continuation", "unconditional", *(task for task, can in more.items() if can))


def _gpt2() -> Any:
    from models.generators.gpt2 import GPT2

    return GPT2


def _released_gpt2() -> Any:
    from models.generators.released import ReleasedGPT2

    return ReleasedGPT2


def _masked_diffusion() -> Any:
    from models.generators.masked_diffusion import MaskedDiffusion

    return MaskedDiffusion


def _block_diffusion() -> Any:
    from models.generators.block_diffusion import BlockDiffusion

    return BlockDiffusion


def _ssd_lm() -> Any:
    from models.generators.ssd_lm import SSDLM

    return SSDLM


def _diffusion_lm() -> Any:
    from models.generators.diffusion_lm import DiffusionLM

    return DiffusionLM


FAMILIES: Mapping[str, Family] = {
    "gpt2": Family(
        what="autoregressive: GPT-2's architecture, one token a step from a nucleus",
        network=TokenNetworkConfig,
        sampling=NucleusConfig,
        model=_gpt2,
        released=_released_gpt2,
    ),
    "llada": Family(
        what="masked diffusion: masks are revealed, the most confident first, block by block",
        network=TokenNetworkConfig,
        sampling=RemaskingConfig,
        model=_masked_diffusion,
        learns_padding=True,
        has_masks=True,
        infills=True,
    ),
    "block-diffusion": Family(
        what="masked diffusion inside blocks that are written from left to right",
        network=BlockDiffusionConfig,
        sampling=BlockRemaskingConfig,
        model=_block_diffusion,
        streams=2,  # with masks, and clean for the blocks behind
        learns_padding=True,
        has_masks=True,
    ),
    "ssd-lm": Family(
        what="Gaussian diffusion of almost-one-hot logits inside blocks from left to right",
        network=SimplexDiffusionConfig,
        sampling=SimplexSamplingConfig,
        model=_ssd_lm,
        learns_padding=True,
    ),
    "diffusion-lm": Family(
        what="Gaussian diffusion of learnt token embeddings, rounded to tokens",
        network=EmbeddingDiffusionConfig,
        sampling=EmbeddingSamplingConfig,
        model=_diffusion_lm,
        learns_padding=True,
        infills=True,
        controls=True,
    ),
}
