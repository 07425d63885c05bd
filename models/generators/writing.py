"""What every family promises: a loss on texts, and writing as a generator of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


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
