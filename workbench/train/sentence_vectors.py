"""The sentence vector of each text's target, which a flow with `flow.reg_weight` generates too.

It is the mean of the teacher's states over the target's tokens, as wide as a latent: its first D
principal components over the training texts, each of unit variance. The teacher has read the whole
text, and its states are taken as stored, whatever `teacher.standardise` is.
Source: REG, Wu et al. 2025, arXiv 2507.01467, which has the teacher's class token.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.teacher_space import TeacherSpace
from workbench.train.teacher_states import read_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from workbench.study.folders import Run

FITTED_TEXTS = 4096
TEXTS_AT_ONCE = 128


class SentenceVectors:
    """Vectors of a run's texts, in components measured on up to 4,096 training texts.

    Args:
        run: a run whose teacher's states are stored.
        cuts: (N,) where each training text is cut.

    Raises:
        ValueError: the means vary in fewer than D directions, or no target has a state.
    """

    def __init__(self, run: Run, cuts: np.ndarray) -> None:
        teacher = replace(run.config.teacher, standardise="none")
        self._study, self._config = run.study, replace(run.config, teacher=teacher)
        means = torch.cat(list(self._means("train", cuts[:FITTED_TEXTS])))
        means = means[means.isfinite().all(dim=1)]
        if not len(means):
            raise ValueError("flow.reg_weight > 0 needs targets that the teacher has states of")
        self._space = TeacherSpace(1, means.shape[1], run.config.vae.latent_width)
        self._space.fit(means.unsqueeze(1))

    def of(self, split_name: str, cuts: np.ndarray) -> np.ndarray:
        """(N, D) float16 vectors of a split's texts cut at `cuts` (N,), NaN where one has none."""
        found = [
            self._space(means[:, None, None], torch.ones((len(means), 1), dtype=torch.bool))
            for means in self._means(split_name, cuts)
        ]
        return torch.cat(found)[:, 0].numpy().astype(np.float16)

    def _means(self, split_name: str, cuts: np.ndarray) -> Iterator[Tensor]:
        """Mean states (B, W) over the targets of the first texts of a split, batch by batch."""
        stored = read_states(self._study, self._config, split_name)
        window = self._study.corpus.window
        for start in range(0, len(cuts), TEXTS_AT_ONCE):
            own = torch.from_numpy(cuts[start : start + TEXTS_AT_ONCE])
            states, valid = stored.gather(np.arange(start, start + len(own)), window)
            valid &= torch.arange(window) >= own[:, None]
            total = states.masked_fill(~valid[..., None], 0.0).sum(dim=1)
            yield total / valid.sum(dim=1, keepdim=True)  # 0 / 0 is NaN
