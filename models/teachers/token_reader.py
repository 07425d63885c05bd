"""Teacher states of the caller's own tokens: by id, each segment by itself, without a text between.

For a corpus that the teacher's tokenizer cut. Each segment is read as a text of its own, between
the special tokens that the teacher adds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.configs.teacher import check_space_layers
from models.precision import bfloat16_autocast
from models.teachers.backbone import Backbone
from models.teachers.batching import is_content


class TokenReader:
    """The last hidden states of a frozen backbone, for token ids of a compact vocabulary.

    Args:
        backbone: the language model.
        original_ids: (V,) int64, the teacher's id of each of the caller's; -1 where it has none
            (end-of-text), and such tokens are not read.
        num_layers: how many hidden states, counted from the last.
        window: most positions of a text.

    Raises:
        ValueError: it has fewer hidden states, or reads fewer tokens than a window has.
    """

    def __init__(
        self, backbone: Backbone, original_ids: Tensor, num_layers: int, window: int
    ) -> None:
        last = backbone.num_layers
        check_space_layers(num_layers, last)
        self._backbone = backbone
        self._layers = range(last + 1 - num_layers, last + 1)
        self._original = original_ids.to(backbone.device)
        sample = backbone.tokenise(["a"])[0]
        content = np.flatnonzero(is_content(sample))
        ids = torch.from_numpy(sample.token_ids).to(backbone.device)
        self._before, self._after = ids[: content[0]], ids[content[-1] + 1 :]
        longest = window + len(self._before) + len(self._after)
        if backbone.max_length is not None and longest > backbone.max_length:
            raise ValueError(
                f"the teacher reads {backbone.max_length} tokens, a window with its special tokens "
                f"has {longest}; lower corpus.window"
            )

    def __deepcopy__(self, memo: object) -> TokenReader:
        return self  # frozen: an average of the model's weights shares it

    @torch.no_grad()
    def __call__(self, token_ids: Tensor, segments: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read padded texts.

        Args:
            token_ids: (B, L) int64.
            segments: (B, L) int64 from 0; None reads each text as one.

        Returns:
            (B, L, K, W) float32 states, zeros where not valid, and (B, L) bool validity.
        """
        ids = self._original[token_ids]  # (B, L)
        valid = ids >= 0
        parts = [valid]
        if segments is not None:
            parts = [valid & (segments == part) for part in range(int(segments.max()) + 1)]
        kept = torch.stack(parts, 1).flatten(0, 1)  # (B * parts, L)
        rows = kept.any(1).nonzero()[:, 0]
        states = ids.new_zeros(
            (*ids.shape, len(self._layers), self._backbone.width), dtype=torch.float32
        )
        if len(rows):
            owners = rows // len(parts)
            found, places, inside = self._read(ids[owners], kept[rows])
            states[owners[:, None].expand_as(places)[inside], places[inside]] = found[inside]
        return states, valid

    def _read(self, ids: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States (R, l, K, W) of the kept tokens of each row, moved together; their positions in
        the row (R, l); and which of the l are there (R, l)."""
        lengths = kept.sum(1, keepdim=True)  # (R, 1)
        longest, before, after = int(lengths.max()), len(self._before), len(self._after)
        places = (~kept).long().argsort(dim=1, stable=True)[:, :longest]
        inside = torch.arange(longest, device=ids.device) < lengths
        column = torch.arange(before + longest + after, device=ids.device)
        tokens = ids.new_full((len(ids), len(column)), self._backbone.pad_id)
        tokens[:, :before] = self._before
        tokens[:, before : before + longest][inside] = ids.gather(1, places)[inside]
        ends = before + lengths + torch.arange(after, device=ids.device)
        tokens.scatter_(1, ends, self._after.expand(len(ids), after))
        with bfloat16_autocast(ids.device):
            hidden = self._backbone.hidden_states(
                tokens, column < before + lengths + after, list(self._layers)
            )
        states = torch.stack([hidden[layer].float() for layer in self._layers], 2)
        return states[:, before : before + longest], places, inside
