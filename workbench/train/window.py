"""What training reports: means over one log interval and over all processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from workbench.machine.devices import Placement
    from workbench.train.state import TrainState


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Means over one log interval and over all processes.

    Attributes:
        step: steps done.
        start_step: step at which this process began.
        num_steps: total steps.
        metrics: name -> mean; NaN if it was undefined at every step.
        tokens_per_second: over all processes.
        notices: lines to show the user, such as the steps lost to a damaged checkpoint.
    """

    step: int
    start_step: int
    num_steps: int
    metrics: Mapping[str, float]
    tokens_per_second: float
    notices: tuple[str, ...] = ()


class Window:
    """Running means of one log interval, kept on the device until they are read."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._metrics: list[dict[str, Tensor]] = []
        self._num_tokens = 0
        self._start = time.monotonic()

    def add(self, metrics: dict[str, Tensor], num_tokens: int) -> None:
        """Add one step."""
        self._metrics.append(metrics)
        self._num_tokens += num_tokens

    def means(self) -> dict[str, float]:
        """Means of this process so far; NaN is left out."""
        return dict(zip(self._names(), self._stacked().tolist(), strict=True))

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for metrics in self._metrics for name in metrics))

    def _stacked(self) -> Tensor:
        columns = [
            torch.stack([m[name].float() for m in self._metrics if name in m]).nanmean()
            for name in self._names()
        ]
        return torch.stack(columns) if columns else torch.empty(0)

    def record(
        self, state: TrainState, num_steps: int, rate: float, place: Placement
    ) -> StepRecord:
        """Means over the interval and all processes, then reset; `rate` is the learning rate."""
        names, shared = self._names(), place.mean(self._stacked())
        means = dict(zip(names, shared.tolist(), strict=True))
        means["learning_rate"] = rate
        means["skipped"] = float(state.skipped)
        per_second = self._num_tokens / max(1e-9, time.monotonic() - self._start)
        notices, state.notices = tuple(state.notices), []
        self._reset()
        return StepRecord(state.step, state.start_step, num_steps, means, per_second, notices)
