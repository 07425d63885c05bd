"""Our own causal LM as a teacher: geometry learnt from the corpus, no outside knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.causal import EOT_ID
from models.language_model import CausalLM
from models.teachers.backbone import TokenisedText


class CorpusEncoding(Protocol):
    """What the corpus tokenizer returns for one text."""

    @property
    def token_ids(self) -> np.ndarray:
        """(n,) int64."""

    @property
    def offsets(self) -> np.ndarray:
        """(n, 2) int64 characters."""


class OwnBackbone:
    """A `CausalLM` seen as a teacher's backbone.

    Args:
        model: The trained language model, on its device.
        encode_batch: The corpus tokenizer's `encode_batch`.
    """

    pad_id = EOT_ID
    causal = True
    tokenizer_json: Path | None = None

    def __init__(
        self,
        model: CausalLM,
        encode_batch: Callable[[list[str]], Sequence[CorpusEncoding]],
    ) -> None:
        self.model = model.eval()
        self.width = model.width
        self.num_layers = model.num_layers
        self.max_length: int | None = model.window
        self.device: torch.device = model.head_bias.device
        self._encode_batch = encode_batch

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        return [
            TokenisedText(
                token_ids=np.asarray(encoding.token_ids[: self.max_length], dtype=np.int64),
                offsets=np.asarray(encoding.offsets[: self.max_length], dtype=np.int64),
            )
            for encoding in self._encode_batch(list(texts))
        ]

    def hidden_states(
        self, token_ids: Tensor, mask: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        # Attention is causal and padding comes last, so the mask changes no real position.
        states = self.model.hidden_states(token_ids.to(self.device))
        return {layer: states[layer] for layer in layers}
