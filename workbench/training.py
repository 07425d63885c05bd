"""One training loop for every model: VAE, flow, and the judging language model.

A stage hands in a `Task` (a model and its loss at a step); `fit` yields a `StepRecord` a log
interval, so the command line, the app and the tests watch the same loop. Randomness at a step
depends on (seed, stage, step, rank) alone: resuming needs no stored generator, and twins that
share a seed share their noise.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from workbench.devices import autocast, process_group
from workbench.errors import NumericalError, StopRequested
from workbench.stopping import StopSignal
from workbench.store.checkpoints import Checkpoint, load_latest, save_checkpoint

if TYPE_CHECKING:
    from workbench.devices import Placement

LIVE = "live."  # prefix of the weights being trained, where a checkpoint leads with an average


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How a model is trained; the defaults are the small-scale recipe of the project.

    Attributes:
        num_steps: optimiser steps.
        batch_size: texts a step, over all processes.
        bucket_multiple: pad a batch to its longest text rounded up to this; 0 pads to the window.
        learning_rate: peak of the schedule: linear warm-up, then cosine to `final_lr_fraction`.
        beta1: AdamW's first decay.
        beta2: AdamW's second decay.
        weight_decay: on matrices only; biases, gains and embeddings of one dimension are exempt.
        warmup_steps: steps of linear warm-up.
        final_lr_fraction: the last learning rate over the peak.
        clip_norm: global gradient norm; 0 is off.
        ema_decay: decay of the weight average that is used afterwards; 0 is off.
        precision: `auto` takes bfloat16 autocast where the hardware multiplies it, else float32.
        compile: `torch.compile` the model (worth it for long runs; needs a C++ compiler on CPUs).
        shard: `none` replicates over processes (DDP); `fsdp` shards parameters (FSDP2).
        log_every: steps between records.
        checkpoint_every: steps between checkpoints; the last step always has one.
        keep_checkpoints: sound checkpoints kept.
        max_skipped_steps: consecutive non-finite steps endured before giving up.
    """

    num_steps: int = 600
    batch_size: int = 64
    bucket_multiple: int = 0
    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.01
    warmup_steps: int = 100
    final_lr_fraction: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float = 0.0
    precision: str = "auto"
    compile: bool = False
    shard: str = "none"
    log_every: int = 10
    checkpoint_every: int = 200
    keep_checkpoints: int = 1
    max_skipped_steps: int = 10

    def __post_init__(self) -> None:
        for name in ("num_steps", "batch_size", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("bucket_multiple", "warmup_steps", "clip_norm", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.keep_checkpoints < 1:
            raise ValueError(f"keep_checkpoints must be >= 1, got {self.keep_checkpoints}")
        if self.max_skipped_steps < 0:
            raise ValueError(f"max_skipped_steps must be >= 0, got {self.max_skipped_steps}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.final_lr_fraction <= 1:
            raise ValueError(f"final_lr_fraction must lie in [0, 1], got {self.final_lr_fraction}")
        if self.precision not in ("auto", "bf16", "float32"):
            raise ValueError(f"precision must be auto, bf16 or float32, got {self.precision!r}")
        if self.shard not in ("none", "fsdp"):
            raise ValueError(f"shard must be none or fsdp, got {self.shard!r}")


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Means over one log interval: step reached, steps in all, metrics, tokens a second."""

    step: int
    num_steps: int
    metrics: Mapping[str, float]
    tokens_per_second: float


class Task(Protocol):
    """What `fit` needs of a stage."""

    name: str
    model: nn.Module
    objective: nn.Module

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        """Scalars of this step, `loss` among them, and the number of tokens it covered.

        `objective` is `self.objective`, possibly wrapped for several processes: it holds the
        model, and one call of it must do the whole forward pass.
        """
        ...


@dataclass(slots=True)
class TrainState:
    """Everything that a checkpoint restores."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0
    skipped: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def weights(self) -> nn.Module:
        """The weights to use afterwards: the average where there is one."""
        return self.average.module if self.average is not None else self.model


def step_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A generator that depends on nothing but `parts`, such as (seed, stage, step, rank)."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(digest[:7], "little"))
    return generator


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to the final fraction."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    span = max(1, config.num_steps - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / span)
    low = config.final_lr_fraction
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


def build_state(model: nn.Module, config: TrainingConfig) -> TrainState:
    """Fused AdamW with decay on matrices only, and a warmed-up average of the weights."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=config.shard == "none",
    )
    average = None
    if config.ema_decay > 0:
        average = AveragedModel(model, multi_avg_fn=_warmed_average(config.ema_decay))
    return TrainState(model=model, optimizer=optimizer, average=average)


def _warmed_average(decay: float) -> Callable[..., None]:
    """Exponential average whose decay starts low, so that early steps are soon forgotten."""

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], num_averaged: Tensor | int) -> None:
        count = int(num_averaged)
        torch._foreach_lerp_(averages, values, 1 - min(decay, (1 + count) / (10 + count)))

    return update


def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights, average and optimiser back into `state`, in place."""
    live = {k.removeprefix(LIVE): v for k, v in checkpoint.tensors.items() if k.startswith(LIVE)}
    state.model.load_state_dict(live or checkpoint.model)
    if state.average is not None:
        state.average.module.load_state_dict(checkpoint.model)
        state.average.n_averaged.fill_(checkpoint.state["num_averaged"])
    checkpoint.restore_optimizer(state.optimizer)
    state.step = checkpoint.step
    state.skipped = int(checkpoint.state.get("skipped", 0))
    state.notices.extend(checkpoint.notices)


def save(
    state: TrainState,
    task: Task,
    config: TrainingConfig,
    directory: Path,
    extra: Mapping[str, object],
) -> None:
    """Write `directory/step-<n>`; `model.safetensors` holds the weights to use afterwards.

    With `config.json` beside them they load by the model's `from_pretrained`.
    """
    tensors: dict[str, Tensor] = {}
    facts = {**extra, "skipped": state.skipped}
    if state.average is not None:
        tensors = {LIVE + k: v for k, v in state.model.state_dict().items()}
        facts["num_averaged"] = int(state.average.n_averaged)
    save_checkpoint(
        directory,
        state.step,
        state.weights.state_dict(),
        state.optimizer,
        facts,
        tensors,
        keep=config.keep_checkpoints,
        files={"config.json": json.dumps(asdict(task.model.config), indent=2)},
    )


def train_step(
    state: TrainState, task: Task, wrapped: nn.Module, config: TrainingConfig, place: Placement
) -> tuple[dict[str, Tensor], int]:
    """One optimiser step; a non-finite loss or gradient leaves the weights untouched.

    Raises:
        NumericalError: more than `max_skipped_steps` consecutive steps were not finite.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.step, config)
    with autocast(place, config.precision):
        metrics, num_tokens = task.loss(wrapped, state.step)
    metrics["loss"].backward()
    limit = config.clip_norm or math.inf
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), limit)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    if bool(torch.isfinite(norm)) and bool(torch.isfinite(metrics["loss"].detach())):
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
    stop: StopSignal,
    before_last_save: Callable[[nn.Module], None] | None = None,
    restart: bool = False,
) -> Iterator[StepRecord]:
    """Train `task.model` up to `config.num_steps`, resuming from the newest sound checkpoint.

    Args:
        task: the model and its loss.
        config: the training settings.
        directory: holds `step-<n>` checkpoints.
        place: device and rank.
        fingerprint: of the whole stage; a checkpoint of another one is refused.
        stop: when set, the state is saved and `StopRequested` raised.
        before_last_save: called on the final weights before they are saved.
        restart: begin again although every checkpoint is damaged.

    Yields:
        A record each `log_every` steps and at the last step.

    Raises:
        StopRequested: a stop was asked for; the checkpoint is written.
        NumericalError: the loss stays non-finite.
        DamagedArtefactError: no sound checkpoint is left.
        ValueError: the checkpoint belongs to another configuration.
    """
    extra: dict[str, object] = {"fingerprint": fingerprint, "threads": torch.get_num_threads()}
    with process_group(place):
        wrapped = place.wrap(task.objective, task.model, config)
        state = build_state(task.model, config)
        checkpoint = load_latest(directory, restart=restart)
        if checkpoint is not None:
            _check_fingerprint(checkpoint, fingerprint, directory)
            restore(state, checkpoint)
        window = _Window()
        while state.step < config.num_steps:
            metrics, num_tokens = train_step(state, task, wrapped, config, place)
            window.add(metrics, num_tokens)
            last = state.step == config.num_steps
            if last and before_last_save is not None:
                before_last_save(state.weights)
            stopping = place.any(stop.requested) and not last
            if place.is_main and (last or stopping or state.step % config.checkpoint_every == 0):
                save(state, task, config, directory, extra)
            if stopping:
                raise StopRequested(f"{task.name}: stopped at step {state.step}, resumable")
            if last or state.step % config.log_every == 0:
                yield window.record(state, config)


def load_finished(
    directory: Path, num_steps: int, fingerprint: str, *, restart: bool = False
) -> Checkpoint | None:
    """The weights of a training that has reached `num_steps` under `fingerprint`, else None."""
    checkpoint = load_latest(directory, restart=restart, model_only=True)
    if checkpoint is None or checkpoint.step < num_steps:
        return None
    _check_fingerprint(checkpoint, fingerprint, directory)
    return checkpoint


def resumed_step(directory: Path, *, restart: bool = False) -> int:
    """Step of the newest sound checkpoint, 0 without one."""
    checkpoint = load_latest(directory, restart=restart, model_only=True)
    return checkpoint.step if checkpoint is not None else 0


def _check_fingerprint(checkpoint: Checkpoint, fingerprint: str, directory: Path) -> None:
    found = checkpoint.state.get("fingerprint")
    if found != fingerprint:
        raise ValueError(
            f"{directory}: the checkpoint at step {checkpoint.step} was trained under another "
            f"configuration ({found}, now {fingerprint}); restore the settings or use a new run"
        )


class _Window:
    """Running means of one log interval, kept on the device until they are read."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.metrics: list[dict[str, Tensor]] = []
        self.num_tokens = 0
        self.start = time.monotonic()

    def add(self, metrics: dict[str, Tensor], num_tokens: int) -> None:
        self.metrics.append(metrics)
        self.num_tokens += num_tokens

    def record(self, state: TrainState, config: TrainingConfig) -> StepRecord:
        names = self.metrics[-1]
        means = {
            name: float(torch.stack([m[name].float() for m in self.metrics if name in m]).nanmean())
            for name in names
        }
        means["learning_rate"] = learning_rate(state.step - 1, config)
        means["skipped"] = float(state.skipped)
        rate = self.num_tokens / max(1e-9, time.monotonic() - self.start)
        self._reset()
        return StepRecord(state.step, config.num_steps, means, rate)
