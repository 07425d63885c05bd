"""A causal language model that reads texts: its last state, and how much they surprise it.

The state of the last token is the only one that has seen the whole text, its order included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import bfloat16_autocast
from models.teachers.backbone import PretrainedBackbone
from models.teachers.batching import chunks, longest_first, padded
from models.teachers.pretrained import load_pretrained


@dataclass(frozen=True)
class TextsRead:
    """What a model made of N texts.

    Attributes:
        last_states: (N, W) float32, zeros for a text without a token.
        nats_per_token: (N,) float64 over the tokens after each text's start; NaN where none is.
    """

    last_states: np.ndarray
    nats_per_token: np.ndarray


class CausalReader:
    """A frozen causal language model whose head is its embedding.

    Args:
        name: what scores name it by.
        backbone: the model.

    Raises:
        ValueError: the model is not causal, or has a head of its own.
    """

    def __init__(self, name: str, backbone: PretrainedBackbone) -> None:
        if not backbone.causal or not backbone.model.config.tie_word_embeddings:
            raise ValueError(
                f"model {name} cannot judge texts: it must be causal, with its head tied to its "
                "embedding"
            )
        self.name = name
        self._backbone = backbone

    def read(self, texts: Sequence[str], starts: Sequence[int], batch_size: int = 16) -> TextsRead:
        """Read texts; only tokens that end after character `starts[i]` of text i are judged.

        The first token of a text has nothing before it and is never judged.
        """
        backbone = self._backbone
        states = np.zeros((len(texts), backbone.width), np.float32)
        nats = np.full(len(texts), np.nan)
        everything = backbone.tokenise(texts)
        for rows in chunks(longest_first(everything), batch_size):
            tokenised = [everything[row] for row in rows]
            token_ids, mask = padded(tokenised, backbone.pad_id)
            judged = torch.zeros_like(mask)
            for place, (row, text) in enumerate(zip(rows, tokenised, strict=True)):
                ends = text.offsets[:, 1] > starts[row]
                judged[place, : len(ends)] = torch.from_numpy(ends)
            last, surprise = self._read_batch(token_ids, mask, judged)
            states[rows], nats[rows] = last.numpy(), surprise.numpy()
        return TextsRead(states, nats)

    @torch.inference_mode()
    def _read_batch(self, token_ids: Tensor, mask: Tensor, judged: Tensor) -> tuple[Tensor, Tensor]:
        """Last states (B, W) and mean nats (B,) of one batch (B, L)."""
        backbone = self._backbone
        depth = backbone.num_layers
        with bfloat16_autocast(backbone.device):
            hidden = backbone.hidden_states(token_ids, mask, [depth])[depth]
        lengths = mask.sum(dim=1).to(hidden.device)
        rows = torch.arange(len(hidden), device=hidden.device)
        last = hidden[rows, (lengths - 1).clamp(min=0)].float()
        last = last.masked_fill((lengths == 0)[:, None], 0.0)
        judged = judged.to(hidden.device)[:, 1:]
        targets = token_ids.to(hidden.device)[:, 1:]
        embedding = backbone.model.get_input_embeddings().weight
        # The head is applied to judged tokens alone: its logits are the largest tensor by far.
        logits = F.linear(hidden[:, :-1][judged].to(embedding.dtype), embedding).float()
        losses = torch.zeros(targets.shape, device=hidden.device)
        losses[judged] = F.cross_entropy(logits, targets[judged], reduction="none")
        mean = losses.double().sum(dim=1) / judged.sum(dim=1)
        return last.cpu(), mean.cpu()


def load_causal_reader(name: str, device: torch.device | str = "cpu") -> CausalReader:
    """The reader `smollm2` or `hf:<model id or directory>`.

    Raises:
        ValueError: the model is missing, or cannot judge texts.
    """
    return CausalReader(name, load_pretrained(name, device))
