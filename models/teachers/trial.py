"""Try a loaded model on a few tokens before any text depends on it.

Configurations do not say whether a model attends to later tokens, whether padding changes its
states, or whether the outputs of its layers are the hidden states. Four short forwards do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from models.teachers.weights import UNLOADABLE, first_line

# Shares of the states' norm. Rounding of bfloat16 stays below the first; a model whose layers are
# laid out otherwise, or that mixes padding in, is above it by far.
SAME_STATES = 0.05
UNCHANGED = 1e-5


class LoadedModel(Protocol):
    """What is tried: `backbone.PretrainedBackbone`."""

    model: Any
    width: int
    num_layers: int
    vocab_size: int
    pad_id: int
    device: torch.device

    def hidden_states(
        self, token_ids: Tensor, mask: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        """States (B, L, W) of some layers, by the shortest way."""
        ...

    def reported_states(self, token_ids: Tensor, mask: Tensor) -> list[Tensor]:
        """States (B, L, W) of all layers, by the whole model."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """What a few tokens told.

    Attributes:
        causal: whether a state depends on no later token.
        layers_agree: whether hooks on the layers give what the model reports as hidden states.
    """

    causal: bool
    layers_agree: bool


def try_out(backbone: LoadedModel, name: str) -> Trial:
    """Run the four forwards.

    Raises:
        ValueError: the model does not run on token ids, reports other hidden states than its
            configuration says, or padding changes its states.
    """
    ids = [i % backbone.vocab_size for i in range(backbone.pad_id + 1, backbone.pad_id + 6)]
    text, short = torch.tensor([ids[:4]]), torch.tensor([ids[:2]])
    padded = torch.full((1, 4), backbone.pad_id)
    padded[:, :2] = short
    batch = torch.cat([text, padded])
    mask = torch.ones(2, 4, dtype=torch.bool)
    mask[1, 2:] = False
    try:
        whole = backbone.reported_states(batch, mask)
        alone = backbone.reported_states(short, mask[:1, :2])
        other = backbone.reported_states(torch.tensor([[*ids[:3], ids[4]]]), mask[:1])
        plain = backbone.reported_states(text, mask[:1])
    except UNLOADABLE as error:
        raise ValueError(
            f"model {name}: {type(backbone.model).__name__} does not run on token ids and a mask "
            f"({first_line(error)})"
        ) from error
    wanted = [(2, 4, backbone.width)] * (backbone.num_layers + 1)
    if [tuple(states.shape) for states in whole] != wanted:
        raise ValueError(
            f"model {name}: config.json says {backbone.num_layers} layers of width "
            f"{backbone.width}, the model returns {len(whole) - 1}, the last {whole[-1].shape[-1]}"
        )
    if not _alike([states[1:, :2] for states in whole], alone, SAME_STATES):
        raise ValueError(f"model {name}: padding changes its states, so no batch can be trusted")
    return Trial(
        causal=_alike([s[:, :3] for s in other], [s[:, :3] for s in plain], UNCHANGED),
        layers_agree=_hooks_agree(backbone, batch, mask, whole),
    )


def _hooks_agree(backbone: LoadedModel, batch: Tensor, mask: Tensor, whole: list[Tensor]) -> bool:
    """Whether the short way, through all layers but the last, gives the reported states."""
    layers = list(range(backbone.num_layers))
    try:
        short_way = backbone.hidden_states(batch, mask, layers)
    except UNLOADABLE:
        return False
    kept = mask.to(backbone.device)
    return all(
        short_way[layer].shape == whole[layer].shape
        and _alike([short_way[layer][kept]], [whole[layer][kept]], SAME_STATES)
        for layer in layers
    )


def _alike(found: list[Tensor], wanted: list[Tensor], tolerance: float) -> bool:
    """Whether each tensor is its counterpart up to a share of its norm; NaN equals NaN."""
    return all(
        bool((a.nan_to_num() - b.nan_to_num()).float().norm() <= tolerance * _norm(b))
        for a, b in zip(found, wanted, strict=True)
    )


def _norm(states: Tensor) -> Tensor:
    return states.nan_to_num().float().norm()
