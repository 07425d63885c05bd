"""What a teacher needs of a language model: tokens with character offsets, and hidden states.

`PretrainedBackbone` wraps a transformers encoder or causal decoder, `own.OwnBackbone` our
own `CausalLM`. Both count hidden states as transformers does: 0 is the embedding output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.teachers.trial import try_out

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenisedText:
    """One text in the backbone's own tokens, special tokens included.

    `offsets` are characters of the text, empty for tokens that the tokenizer added.
    """

    token_ids: np.ndarray  # (n,) int64
    offsets: np.ndarray  # (n, 2) int64


class Backbone(Protocol):
    """A frozen language model with a tokenizer."""

    width: int
    num_layers: int
    max_length: int | None
    pad_id: int
    causal: bool
    device: torch.device
    tokenizer_json: Path | None

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Tokenise, adding special tokens and truncating to `max_length`."""
        ...

    def hidden_states(
        self, token_ids: Tensor, mask: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        """Hidden states (B, L, W) of the requested layers, counted from 0 = embeddings."""
        ...


class PretrainedBackbone:
    """A transformers base model, run only as deep as the highest layer that is asked for.

    Args:
        model: The base model (no head), in eval mode and on its device.
        tokenizer: Its fast tokenizer; truncation and padding settings are overwritten.
        name: What errors call it.
        max_length: Longest input in tokens, special tokens included; None = without a limit.
        tokenizer_json: The tokenizer's file, when there is one.

    Raises:
        ValueError: a few tokens show that its states cannot be read.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        name: str,
        max_length: int | None,
        tokenizer_json: Path | None,
    ) -> None:
        self.model = model
        self.width: int = model.config.hidden_size
        self.num_layers: int = model.config.num_hidden_layers
        self.vocab_size: int = model.config.vocab_size
        self.max_length = max_length
        pad_id = model.config.pad_token_id
        self.pad_id: int = pad_id if pad_id in range(self.vocab_size) else 0
        self.device: torch.device = model.device
        self.tokenizer_json = tokenizer_json
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if max_length is not None:
            self._tokenizer.enable_truncation(max_length)
        # "[SEP]" written in a corpus is text, not the end of it.
        self._tokenizer.encode_special_tokens = True
        self._layers = find_layers(model, self.num_layers)
        trial = try_out(self, name)
        self.causal = trial.causal
        if not trial.layers_agree:
            self._layers = None

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        return [
            TokenisedText(
                token_ids=np.array(encoding.ids, dtype=np.int64),
                offsets=np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2),
            )
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    @torch.no_grad()
    def hidden_states(
        self, token_ids: Tensor, mask: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        # The last hidden state is what the model returns (after a final norm, where it has one).
        last = self.num_layers
        inner = [layer for layer in layers if layer < last]
        if self._layers is None:
            reported = self.reported_states(token_ids, mask)
            return {layer: reported[layer] for layer in layers}
        depth = max(max(layers), 1)
        with first_layers(self._layers, depth), captured(self._layers.stack, inner) as states:
            output = self._forward(token_ids, mask)
        if last in layers:
            states[last] = output.last_hidden_state
        return states

    @torch.no_grad()
    def reported_states(self, token_ids: Tensor, mask: Tensor) -> list[Tensor]:
        """All hidden states (B, L, W), as the whole model reports them."""
        return list(self._forward(token_ids, mask, output_hidden_states=True).hidden_states)

    def _forward(self, token_ids: Tensor, mask: Tensor, **kwargs: bool) -> Any:
        return self.model(
            input_ids=token_ids.to(self.device),
            attention_mask=mask.to(self.device, torch.long),
            **kwargs,
        )


@dataclass(frozen=True, slots=True)
class LayerStack:
    """Where a model keeps its layers: `getattr(parent, name)` is the `ModuleList`."""

    parent: nn.Module
    name: str

    @property
    def stack(self) -> nn.ModuleList:
        stack = getattr(self.parent, self.name)
        assert isinstance(stack, nn.ModuleList)
        return stack


def find_layers(model: nn.Module, num_layers: int) -> LayerStack | None:
    """The one `ModuleList` of length `num_layers`; None where there is none or more than one."""
    found = [
        LayerStack(parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == num_layers
    ]
    return found[0] if len(found) == 1 else None


@contextmanager
def first_layers(layers: LayerStack, depth: int) -> Iterator[None]:
    """Run the model with its first `depth` layers only; the rest comes back on exit."""
    whole = layers.stack
    setattr(layers.parent, layers.name, whole[:depth])
    try:
        yield
    finally:
        setattr(layers.parent, layers.name, whole)


@contextmanager
def captured(stack: nn.ModuleList, indices: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Collect hidden states by hooks: state 0 enters the first layer, state k leaves layer k."""
    states: dict[int, Tensor] = {}

    def keep(index: int, value: Tensor | tuple[Tensor, ...]) -> None:
        states[index] = value[0] if isinstance(value, tuple) else value

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        keep(0, args[0] if args else kwargs["hidden_states"])

    handles = []
    for index in set(indices):
        if index == 0:
            handles.append(stack[0].register_forward_pre_hook(before, with_kwargs=True))
            continue
        after = partial(lambda index, module, args, output: keep(index, output), index)
        handles.append(stack[index - 1].register_forward_hook(after))
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()
