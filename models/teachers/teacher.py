"""A frozen language model whose hidden states are handed out per token of the *caller*.

Texts run in length-sorted batches, only as deep as the highest layer asked for. Special tokens
are added for the model and dropped from the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.configs.teacher import resolve_layer
from models.precision import bfloat16_autocast
from models.teachers.alignment import batch_overlaps, mean_over_ranges
from models.teachers.backbone import Backbone, TokenisedText
from models.teachers.batching import chunks, content_mask, is_content, longest_first, padded

MAX_BAD_SHARE = 1e-3
# Texts are sorted by length within pools of this many batches: bounded memory, little padding.
POOL_BATCHES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenStates:
    """Teacher states of some texts, one row a token of the caller, texts one after another.

    Args:
        indices: (B,) int64, which texts, in the order of the rows.
        lengths: (B,) int64, rows of each text.
        states: layer as asked for -> (sum lengths, W) float32 on the CPU; zeros where invalid.
        valid: (sum lengths,) bool.
        num_bad: Rows that a teacher token covers but whose state is not finite or all zero.
    """

    indices: np.ndarray
    lengths: np.ndarray
    states: Mapping[int, Tensor]
    valid: Tensor
    num_bad: int


@dataclass(slots=True)
class StateTally:
    """Counts over a corpus, so that a broken teacher stops the run instead of training it."""

    num_tokens: int = 0
    num_valid: int = 0
    num_bad: int = 0

    def add(self, batch: TokenStates) -> None:
        self.num_tokens += len(batch.valid)
        self.num_valid += int(batch.valid.sum())
        self.num_bad += batch.num_bad

    @property
    def bad_share(self) -> float:
        """Share of all tokens whose state is NaN, infinite or zero."""
        return self.num_bad / max(self.num_tokens, 1)

    @property
    def too_many_bad(self) -> bool:
        return self.bad_share > MAX_BAD_SHARE


class Teacher:
    """Aligned hidden states of a frozen backbone.

    Args:
        backbone: The language model.
        default_layer: The layer of the configuration, as configured.

    Raises:
        ValueError: the backbone has no such layer.
    """

    def __init__(self, backbone: Backbone, default_layer: int) -> None:
        resolve_layer(default_layer, backbone.num_layers)
        self.backbone = backbone
        self.default_layer = default_layer

    @property
    def width(self) -> int:
        return self.backbone.width

    @property
    def num_layers(self) -> int:
        return self.backbone.num_layers

    @property
    def max_length(self) -> int | None:
        return self.backbone.max_length

    @property
    def tokenizer_json(self) -> Path | None:
        return self.backbone.tokenizer_json

    def iter_token_states(
        self,
        texts: Sequence[str],
        offsets: Sequence[np.ndarray],
        layers: Sequence[int] | None = None,
        batch_size: int = 64,
    ) -> Iterator[TokenStates]:
        """States batch by batch; every text comes exactly once, in an order of its own.

        Args:
            texts: The texts.
            offsets: (n_i, 2) character offsets of the caller's tokens in each text.
            layers: Which hidden states; None = the configured layer.
            batch_size: Texts a forward.

        Yields:
            `TokenStates` of at most `batch_size` texts.

        Raises:
            ValueError: no layer, a layer out of range, or unequal numbers of texts and offsets.
        """
        if layers is not None and not layers:
            raise ValueError("layers must name at least one hidden state, got none")
        if len(texts) != len(offsets):
            raise ValueError(f"{len(texts)} texts but offsets of {len(offsets)}")
        layers = layers if layers is not None else (self.default_layer,)
        depths = {layer: resolve_layer(layer, self.num_layers) for layer in layers}
        for pool in chunks(range(len(texts)), batch_size * POOL_BATCHES):
            tokenised = self.backbone.tokenise([texts[index] for index in pool])
            for rows in chunks(longest_first(tokenised), batch_size):
                indices = [pool[row] for row in rows]
                yield self._batch(
                    np.array(indices, dtype=np.int64),
                    [tokenised[row] for row in rows],
                    [np.asarray(offsets[index]).reshape(-1, 2) for index in indices],
                    depths,
                )

    def token_states(
        self,
        texts: Sequence[str],
        offsets: Sequence[np.ndarray],
        layers: Sequence[int] | None = None,
        batch_size: int = 64,
    ) -> TokenStates:
        """States of all texts at once, in the order of `texts`. See `iter_token_states`."""
        layers = layers if layers is not None else (self.default_layer,)
        lengths = np.array([len(spans) for spans in offsets], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        total = int(lengths.sum())
        states = {layer: torch.zeros(total, self.width) for layer in layers}
        valid = torch.zeros(total, dtype=torch.bool)
        num_bad = 0
        for batch in self.iter_token_states(texts, offsets, layers, batch_size):
            rows = torch.from_numpy(concatenated_ranges(starts[batch.indices], batch.lengths))
            for layer in layers:
                states[layer][rows] = batch.states[layer]
            valid[rows] = batch.valid
            num_bad += batch.num_bad
        return TokenStates(
            indices=np.arange(len(texts)),
            lengths=lengths,
            states=states,
            valid=valid,
            num_bad=num_bad,
        )

    def _batch(
        self,
        indices: np.ndarray,
        tokenised: Sequence[TokenisedText],
        offsets: Sequence[np.ndarray],
        depths: Mapping[int, int],
    ) -> TokenStates:
        token_ids, mask = padded(tokenised, self.backbone.pad_id)
        with torch.inference_mode(), bfloat16_autocast(self.backbone.device):
            hidden = self.backbone.hidden_states(token_ids, mask, sorted(set(depths.values())))
        keep = content_mask(tokenised, mask.shape[1]).to(self.backbone.device)
        content_offsets = [text.offsets[is_content(text)] for text in tokenised]
        first, last = batch_overlaps(content_offsets, offsets)
        states = {
            layer: mean_over_ranges(hidden[depth][keep].float(), first, last).cpu()
            for layer, depth in depths.items()
        }
        covered = torch.from_numpy(last > first)
        bad = covered & unusable(states.values())
        valid = covered & ~bad
        return TokenStates(
            indices=indices,
            lengths=np.array([len(spans) for spans in offsets], dtype=np.int64),
            states={layer: rows.masked_fill(~valid[:, None], 0) for layer, rows in states.items()},
            valid=valid,
            num_bad=int(bad.sum()),
        )


def unusable(states: Iterable[Tensor]) -> Tensor:
    """(n,) bool: rows that are not finite, or all zero, in any of the (n, W) `states`."""
    flags = [~rows.isfinite().all(dim=1) | (rows == 0).all(dim=1) for rows in states]
    return torch.stack(flags).any(dim=0)


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[starts[0], ..., starts[0] + lengths[0] - 1, starts[1], ...]` as int64."""
    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
