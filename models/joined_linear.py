"""One linear layer that does the work of several of equal size."""

from __future__ import annotations

from torch import nn


class JoinedLinear(nn.Linear):
    """`parts` linear maps of one input, their outputs side by side, in one matrix product.

    `parts` is for whoever treats a map as a whole: an optimiser that makes updates orthogonal
    must take the maps one by one.
    """

    def __init__(self, width_in: int, width_out: int, parts: int) -> None:
        super().__init__(width_in, parts * width_out)
        self.parts = parts
