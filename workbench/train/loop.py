"""One training loop for every model: VAE, flow, and the judging language model.

A stage hands in a `Task` (a model and its loss at a step). `fit` yields one `StepRecord` per log
interval, so the command line, the app and the tests watch the same loop. Randomness at a step
depends only on (seed, stage, step, rank): resuming needs no stored generator, and twins with the
same seed get the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from workbench.config.training import TrainingConfig
from workbench.errors import NumericalError, StopRequested
from workbench.machine.devices import (
    autocast,
    check_batch,
    compute_precision,
    process_group,
    replicate,
)
from workbench.machine.memory import memory_advice
from workbench.machine.stopping import StopSignal
from workbench.train.saving import Hooks, Saver
from workbench.train.sharding import repeated_blocks, shard_parameters
from workbench.train.state import TrainState, build_average, build_optimizer
from workbench.train.window import StepRecord, Window

if TYPE_CHECKING:
    from workbench.machine.devices import Placement


class Task(Protocol):
    """What `fit` needs from a stage."""

    name: str

    @property
    def model(self) -> nn.Module:
        """The model that is trained and saved; it has a `config`."""

    @property
    def objective(self) -> nn.Module:
        """Wraps the model; its forward is the whole forward pass of a step."""

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """The scalars of this step, including `loss`, and the number of tokens it covered.

        `objective` is `self.objective`, possibly wrapped to run on several processes.
        """


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to the final fraction.

    An extended training follows the cosine of each of its lengths in turn.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    span = max(1, config.horizon(step) - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / span)
    low = config.final_lr_fraction
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


def build_state(
    task: Task, config: TrainingConfig, place: Placement
) -> tuple[TrainState, nn.Module]:
    """The state at step 0, and the objective ready to be called.

    Blocks are compiled if the settings ask for it. With several processes the objective is
    replicated (DDP) or its parameters are sharded (FSDP2).

    Raises:
        ValueError: the batch size is not a multiple of the number of processes.
    """
    check_batch(config, place)
    sharded = config.shard == "fsdp" and place.world_size > 1
    average = build_average(task.model, config.ema_decay)
    if config.compile:
        for block in repeated_blocks(task.model):
            block.compile()
    if sharded:
        shard_parameters(task.objective, place.device.type)
        if average is not None:
            shard_parameters(average, place.device.type)
    optimizer = build_optimizer(task.model, config)
    objective = task.objective if sharded else replicate(task.objective, place)
    return TrainState(task.model, optimizer, average, sharded), objective


def train_step(
    state: TrainState, task: Task, objective: nn.Module, config: TrainingConfig, place: Placement
) -> tuple[dict[str, Tensor], int]:
    """One optimiser step; a non-finite loss or gradient leaves the weights as they were.

    Raises:
        NumericalError: more than `max_skipped_steps` consecutive steps were not finite.
        ResourceError: the batch does not fit in memory.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.step, config)
    smaller = f"{task.name}: lower batch_size (now {config.batch_size}), window or width"
    with memory_advice(smaller):
        with autocast(place, config.precision):
            metrics, num_tokens = task.loss(objective, state.step)
        metrics["loss"].backward()
    limit = config.clip_norm or math.inf
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), limit)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    finite = torch.isfinite(norm) & torch.isfinite(metrics["loss"].detach())
    if not place.any(not bool(finite)):
        state.optimizer.step()
        if state.average is not None:
            state.average.update_parameters(state.model)
        state.skipped = 0
    else:
        state.skipped += 1
        if state.skipped > config.max_skipped_steps:
            raise NumericalError(
                f"{task.name}: loss or gradient not finite for {state.skipped} steps in a row at "
                f"step {state.step}; lower learning_rate (now {config.learning_rate:g}) or set "
                "precision=float32; the last good checkpoint is kept"
            )
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    return {**{k: v.detach() for k, v in metrics.items()}, "grad_norm": norm.detach()}, num_tokens


def fit(
    task: Task,
    config: TrainingConfig,
    directory: Path,
    place: Placement,
    *,
    fingerprint: str,
    beginnings: Sequence[str] = (),
    stop: StopSignal,
    hooks: Hooks | None = None,
    restart: bool = False,
) -> Iterator[StepRecord]:
    """Train `task.model` up to `config.num_steps`, resuming from the newest sound checkpoint.

    Args:
        task: the model and its loss.
        config: the training settings.
        directory: folder of the `step-<n>` checkpoints and the milestones.
        place: device and rank.
        fingerprint: of the whole stage; a checkpoint with another fingerprint is refused.
        beginnings: fingerprints of the shorter trainings that this one continues.
        stop: when set, the state is saved and `StopRequested` is raised.
        hooks: what the stage does around its checkpoints; nothing by default.
        restart: start again from step 0 if every checkpoint is damaged.

    Yields:
        One record every `log_every` steps and one at the last step.

    Raises:
        StopRequested: a stop was asked for; the checkpoint is written.
        NumericalError: the loss stays non-finite.
        ResourceError: there is not enough disk for another checkpoint, or not enough memory.
        DamagedArtefactError: no sound checkpoint is left.
        ValueError: the checkpoint has other settings, or the batch cannot be divided evenly.
    """
    saver = Saver(
        directory=directory,
        config=config,
        place=place,
        fingerprint=fingerprint,
        facts=_bit_facts(config, place),
        hooks=hooks or Hooks(),
    )
    with process_group(place), saver.writes:
        state, objective = build_state(task, config, place)
        saver.resume(state, tuple(beginnings), restart)
        window = Window()
        while state.step < config.num_steps:
            metrics, num_tokens = train_step(state, task, objective, config, place)
            window.add(metrics, num_tokens)
            finished = state.step == config.num_steps
            stopping = place.any(stop.requested) and not finished
            saver.save_if_due(state, window, stopping)
            if stopping:
                place.wait_for_all()
                raise StopRequested(f"{task.name}: stopped at step {state.step}, resumable")
            if finished or state.step % config.log_every == 0:
                rate = learning_rate(state.step - 1, config)
                yield window.record(state, config.num_steps, rate, place)
        place.wait_for_all()


def _bit_facts(config: TrainingConfig, place: Placement) -> dict[str, object]:
    """What affects a step's exact bits besides settings and seed."""
    return {
        "threads": torch.get_num_threads(),
        "processes": place.world_size,
        "device": place.device.type,
        "precision": compute_precision(place, config.precision),
        "torch": torch.__version__,
    }
