"""What every family promises: a loss on texts, and writing as a generator of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class WritingStep(NamedTuple):
    """A batch of texts at one moment of its writing.

    Attributes:
        token_ids: (B, L) int64: what is written; where nothing is yet, the model's present guess,
            or end-of-text if it has none.
        written: (B, L) bool, True where the token will not change any more.
        entropy: (B, L) float32 nats of the distribution that each token was, or would now be, drawn
            from; NaN in the prompt and where nothing has been predicted yet.
        t: Share of the way, 1 at the last step.
        nfe: Network evaluations per text so far.
    """

    token_ids: Tensor
    written: Tensor
    entropy: Tensor
    t: float
    nfe: int


class Infiller(Protocol):
    """A family's network that can also write a middle part between what stands around it."""

    def infill(
        self,
        token_ids: Tensor,
        given: Tensor,
        sampling: Any,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Write the tokens that are not given, yielding every step as `Writer.write` does.

        Args:
            token_ids: (B, window) int64.
            given: (B, window) bool, True where a token stays.
            sampling: The family's settings of writing.
            generators: B generators on the CPU, one for each text.
        """
        ...


class Writer(Protocol):
    """A family's network. It is built from its settings and a `torch.Generator` of its weights."""

    config: Any

    def training_loss(
        self, token_ids: Tensor, mask: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """`loss`, and other scalars to log, of whole texts.

        Args:
            token_ids: (B, L) int64, end-of-text behind each text.
            mask: (B, L) bool, True = a real token.
            generator: Of whatever noise the loss needs.
        """
        ...

    def spaces(self, token_ids: Tensor) -> dict[str, Tensor]:
        """Its continuous spaces: `embeddings` and, after half of its blocks, `middle` states.

        Args:
            token_ids: (B, L) int64 whole texts, end-of-text behind each.

        Returns:
            Space -> (B, L, D), one vector per token.
        """
        ...

    def write(
        self,
        prompt_ids: Tensor,
        ctx_len: Tensor,
        sampling: Any,
        generators: Sequence[torch.Generator],
    ) -> Iterator[WritingStep]:
        """Continue prompts, yielding every step; the last one holds the finished texts.

        A text depends on its own prompt and generator only. Its first `ctx_len` tokens stay.

        Args:
            prompt_ids: (B, window) int64.
            ctx_len: (B,) int64 in [0, window], tokens of the prompt to keep.
            sampling: The family's settings of writing.
            generators: B generators on the CPU, one for each text.
        """
        ...


def state_halfway(blocks: nn.ModuleList, run: Callable[[], object]) -> Tensor:
    """The states (B, L, W) behind half of the blocks, rounded up, while `run` runs them all."""
    seen: list[Tensor] = []
    middle = blocks[(len(blocks) - 1) // 2]
    handle = middle.register_forward_hook(lambda module, given, out: seen.append(out))
    try:
        run()
    finally:
        handle.remove()
    return seen[0]
