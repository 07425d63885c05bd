"""What a generator wrote after some prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.sample.trajectories import Trajectory


@dataclass(frozen=True, slots=True)
class Continuations:
    """Continuations of N prompts.

    Attributes:
        prompts: N texts.
        texts: N continuations.
        token_ids: N arrays of the continuations' tokens, without end-of-text.
        ended: (N,) bool, False where the window ended before the text did.
        nfe: network evaluations per prompt.
        seconds: total wall-clock seconds.
        trace: every step of every prompt, if requested.
    """

    prompts: list[str]
    texts: list[str]
    token_ids: list[np.ndarray]
    ended: np.ndarray
    nfe: int
    seconds: float
    trace: Trajectory | None
