"""The state that training carries from step to step, and how it is saved and restored.

A state may be sharded over processes (FSDP2). Only this module knows: it gathers whole tensors
before saving, so a checkpoint reads the same however it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from workbench.store.checkpoints import Checkpoint
from workbench.store.tensors import count_bytes
from workbench.train.muon import Muon, block_matrices
from workbench.train.sharding import (
    GatheredOptimizer,
    full_weights,
    is_sharded,
    load_full_weights,
)

if TYPE_CHECKING:
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement

LIVE = "live."  # prefix of the trained weights in a checkpoint whose main weights are an average


@dataclass(slots=True)
class TrainState:
    """Everything that a checkpoint restores.

    Attributes:
        model: the weights being trained.
        optimizer: AdamW, or Muon.
        average: the running average of the weights; None without one.
        sharded: the parameters are spread over processes.
        start_step: step at which this process began; later than 0 if it resumed.
        step: optimiser steps done.
        skipped: consecutive steps that were not finite.
        inexact: reasons why this training is not bit-equal to an uninterrupted one, one per line.
        notices: lines to show the user once.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    sharded: bool = False
    start_step: int = 0
    step: int = 0
    skipped: int = 0
    inexact: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def weights(self) -> nn.Module:
        """The weights to use afterwards: the average where there is one."""
        return self.average.module if self.average is not None else self.model


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state in whole tensors, as a checkpoint holds it; empty outside the main process.

    Attributes:
        weights: the model to use afterwards.
        live: the weights being trained where `weights` is an average, else empty.
        optimizer: has the optimiser's `state_dict`.
    """

    weights: nn.Module
    live: Mapping[str, Tensor]
    optimizer: Any


def build_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """An exponential average whose decay starts low, so early steps are soon forgotten."""
    return AveragedModel(model, multi_avg_fn=_warmed_average(decay)) if decay > 0 else None


def _warmed_average(decay: float) -> Callable[..., None]:
    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], num_averaged: Tensor | int) -> None:
        count = int(num_averaged)
        weight = 1 - min(decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(_local(averages), _local(values), weight)

    return update


def _local(tensors: list[Tensor]) -> list[Tensor]:
    """This process's shard of each tensor; all averages of a model are sharded alike."""
    return [t.to_local() if is_sharded(t) else t for t in tensors]


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser named in the settings, with weight decay on matrices only.

    AdamW runs as one fused kernel unless the parameters are sharded.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    joined = block_matrices(model) if config.optimizer == "muon" else {}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in joined if joined[p] == parts], "parts": parts}
        for parts in sorted(set(joined.values()))
    ]
    others = [p for p in parameters if p not in joined]
    groups += [
        {"params": [p for p in others if p.ndim >= 2]},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = Muon if joined else torch.optim.AdamW
    return kind(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        fused=not any(is_sharded(p) for p in parameters),
    )


def checkpoint_bytes(state: TrainState) -> int:
    """Upper bound on the bytes of a checkpoint's tensors: weights, their average, the moments.

    AdamW has two moments, Muon one.
    """
    weights = weights_bytes(state)
    moments = sum(
        (1 if "parts" in group else 2) * count_bytes(group["params"])
        for group in state.optimizer.param_groups
    )
    return weights * (1 if state.average is None else 2) + moments


def weights_bytes(state: TrainState) -> int:
    """Bytes of one copy of the weights."""
    return count_bytes(state.model.state_dict().values())


def take_snapshot(state: TrainState, place: Placement) -> Snapshot:
    """Gather a state; if it is sharded, every process must call this."""
    if not state.sharded:
        live = state.model.state_dict() if state.average is not None else {}
        return Snapshot(state.weights, live, state.optimizer)
    optimizer = GatheredOptimizer.gather(state.model, state.optimizer)
    live = full_weights(state.model)
    leading = full_weights(state.average.module) if state.average is not None else live
    if not place.is_main:
        return Snapshot(nn.Module(), {}, optimizer)
    weights = type(state.model)(state.model.config)
    weights.load_state_dict(leading)
    return Snapshot(weights.to(place.device), live if state.average is not None else {}, optimizer)


def restore(state: TrainState, checkpoint: Checkpoint, facts: Mapping[str, object]) -> None:
    """Put a checkpoint's weights, average and optimiser back into `state`, in place.

    Args:
        state: as built for a training from step 0.
        checkpoint: of the same training.
        facts: what affects a step's exact bits here (threads, precision, release). If they differ
            from the checkpoint's, training continues and notes that it is not bit-equal.
    """
    live = {k.removeprefix(LIVE): v for k, v in checkpoint.tensors.items() if k.startswith(LIVE)}
    _load(state.model, live or checkpoint.model, state)
    if state.average is not None:
        _load(state.average.module, checkpoint.model, state)
        state.average.n_averaged.fill_(checkpoint.state["num_averaged"])
    optimizer: Any = state.optimizer
    if state.sharded:
        optimizer = GatheredOptimizer(state.model, state.optimizer)
    checkpoint.restore_optimizer(optimizer)
    state.step = state.start_step = checkpoint.step
    state.skipped = int(checkpoint.state.get("skipped", 0))
    state.inexact = [*checkpoint.state.get("inexact", [])]
    state.notices += checkpoint.notices
    changed = [
        f"{name} {checkpoint.state[name]} before, {value} now"
        for name, value in facts.items()
        if name in checkpoint.state and checkpoint.state[name] != value
    ]
    if changed:
        line = f"resumed at step {state.step} with {', '.join(changed)}: not bit-equal from there"
        state.inexact.append(line)
        state.notices.append(line)


def _load(model: nn.Module, weights: Mapping[str, Tensor], state: TrainState) -> None:
    if state.sharded:
        load_full_weights(model, weights)
    else:
        model.load_state_dict(weights)
