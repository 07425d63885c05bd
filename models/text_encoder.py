"""Sentence and token embeddings of texts, for MAUVE features and BERTScore's greedy matching.

Masked LMs are pooled by the mean over all tokens, special ones included (as sentence-transformers
does); causal LMs by the state of the last token, the only one that has seen the whole text (as
MAUVE does).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.configs.teacher import HF_PREFIX
from models.precision import bfloat16_autocast
from models.teachers.backbone import Backbone, TokenisedText
from models.teachers.batching import chunks, is_content, longest_first, padded
from models.teachers.pretrained import load_pretrained

POOLINGS = ("mean", "last_token")


class TextEncoder:
    """Embeddings from the last hidden state of a frozen language model.

    Args:
        name: What scores name it by, as in `mauve[minilm]`.
        backbone: The language model.
        pooling: `mean`, `last_token`, or None for what suits the model.

    Raises:
        ValueError: unknown pooling.
    """

    def __init__(self, name: str, backbone: Backbone, pooling: str | None = None) -> None:
        pooling = pooling or ("last_token" if backbone.causal else "mean")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        self.name = name
        self.pooling = pooling
        self.width = backbone.width
        self._backbone = backbone

    def embed(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """One embedding per text, of length 1; zeros for a text without any token.

        Returns:
            (N, W) float32.
        """
        embeddings = np.zeros((len(texts), self.width), dtype=np.float32)
        for rows, _, states, mask in self._last_states(texts, batch_size):
            pooled = F.normalize(_pool(states, mask, self.pooling), dim=1)
            embeddings[rows] = pooled.cpu().numpy()
        return embeddings

    def token_embeddings(self, texts: Sequence[str], batch_size: int = 64) -> list[np.ndarray]:
        """One embedding per token, of length 1, special tokens left out.

        Returns:
            An (n_i, W) float32 array for every text.
        """
        return self.embed_both(texts, batch_size)[1]

    def embed_both(
        self, texts: Sequence[str], batch_size: int = 64
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """What `embed` and `token_embeddings` return, for the cost of one."""
        embeddings = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = [np.zeros((0, self.width), dtype=np.float32) for _ in texts]
        for rows, tokenised, states, mask in self._last_states(texts, batch_size):
            pooled = F.normalize(_pool(states, mask, self.pooling), dim=1)
            embeddings[rows] = pooled.cpu().numpy()
            directions = F.normalize(states, dim=2).cpu().numpy()
            for row, text, of_text in zip(rows, tokenised, directions, strict=True):
                tokens[row] = of_text[: len(text.token_ids)][is_content(text)]
        return embeddings, tokens

    def _last_states(
        self, texts: Sequence[str], batch_size: int
    ) -> Iterator[tuple[list[int], list[TokenisedText], Tensor, Tensor]]:
        """Rows, their tokens, states (B, L, W) float32 and mask (B, L), longest texts first."""
        last = self._backbone.num_layers
        everything = self._backbone.tokenise(texts)
        for rows in chunks(longest_first(everything), batch_size):
            tokenised = [everything[row] for row in rows]
            token_ids, mask = padded(tokenised, self._backbone.pad_id)
            with torch.inference_mode(), bfloat16_autocast(self._backbone.device):
                states = self._backbone.hidden_states(token_ids, mask, [last])[last]
            yield list(rows), tokenised, states.float(), mask.to(states.device)


def load_text_encoder(
    name: str = "minilm", device: torch.device | str = "cpu", pooling: str | None = None
) -> TextEncoder:
    """The encoder `minilm` (embedded), `smollm2` or `hf:<model id or directory>`.

    Raises:
        ValueError: another name, or the model is missing.
    """
    if name not in ("minilm", "smollm2") and not name.startswith(HF_PREFIX):
        raise ValueError(
            f"text encoder must be minilm, smollm2 or hf:<model id or directory>, got {name!r}"
        )
    return TextEncoder(name, load_pretrained(name, device), pooling)


def _pool(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """(B, W) from states (B, L, W) and mask (B, L); zeros where the mask is empty."""
    lengths = mask.sum(dim=1)
    if pooling == "last_token":
        rows = torch.arange(len(states), device=states.device)
        pooled = states[rows, (lengths - 1).clamp(min=0)]
    else:
        summed = states.masked_fill(~mask[..., None], 0.0).sum(dim=1)
        pooled = summed / lengths.clamp(min=1)[:, None]
    return pooled.masked_fill((lengths == 0)[:, None], 0.0)
