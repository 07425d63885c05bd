"""How a model is trained: steps, optimiser, precision, and how often it is logged and saved."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

from models.configs.checks import added
from workbench.config.plain import identity

HARMLESS = ("log_every", "checkpoint_every", "keep_checkpoints", "milestones")  # change no weight
FIRST_MILESTONE = 1 / 50  # of all steps


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How a model is trained; the defaults are the small-scale recipe of the project.

    Attributes:
        num_steps: optimiser steps.
        earlier_num_steps: lengths of the shorter trainings that this one continues, in order.
            Each ran its own schedule to the end, so the learning rate rises again where the next
            begins. The weights differ from those of one uninterrupted training of `num_steps`.
        batch_size: texts per step, over all processes.
        optimizer: `adamw`; or `muon`, which makes the updates of the blocks' matrices orthogonal
            and leaves all else to AdamW: fewer steps to the same loss, each somewhat longer.
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
        compile: `torch.compile` the blocks (worth it for long runs; needs a C++ compiler on CPUs).
        shard: `none` replicates over processes (DDP); `fsdp` shards parameters (FSDP2).
        log_every: steps between records.
        checkpoint_every: steps between checkpoints; the last step always has one.
        keep_checkpoints: number of checkpoints to keep.
        milestones: number of intermediate weights that are kept, to probe them later; 0 keeps none.
        max_skipped_steps: consecutive non-finite steps allowed before training fails.
    """

    num_steps: int = 600
    earlier_num_steps: tuple[int, ...] = ()
    batch_size: int = 64
    optimizer: str = added("adamw", before="adamw")
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
    milestones: int = 0
    max_skipped_steps: int = 10

    def __post_init__(self) -> None:
        for name in ("num_steps", "batch_size", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        lengths = (0, *self.earlier_num_steps, self.num_steps)
        if any(later <= earlier for earlier, later in itertools.pairwise(lengths)):
            raise ValueError(
                "earlier_num_steps must rise and stay below num_steps "
                f"({self.num_steps}), got {list(self.earlier_num_steps)}"
            )
        for name in ("bucket_multiple", "warmup_steps", "clip_norm", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.keep_checkpoints < 1:
            raise ValueError(f"keep_checkpoints must be >= 1, got {self.keep_checkpoints}")
        for name in ("milestones", "max_skipped_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.final_lr_fraction <= 1:
            raise ValueError(f"final_lr_fraction must lie in [0, 1], got {self.final_lr_fraction}")
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer must be adamw or muon, got {self.optimizer!r}")
        if self.precision not in ("auto", "bf16", "float32"):
            raise ValueError(f"precision must be auto, bf16 or float32, got {self.precision!r}")
        if self.shard not in ("none", "fsdp"):
            raise ValueError(f"shard must be none or fsdp, got {self.shard!r}")

    @property
    def milestone_steps(self) -> tuple[int, ...]:
        """Steps after which weights are kept: a geometric series from a fiftieth of the training.

        Loss and representations change with the logarithm of the step, so equal ratios space the
        changes evenly. The last step is not a milestone because its checkpoint stays anyway. Short
        trainings have fewer milestones than asked for.
        """
        first = max(1.0, self.num_steps * FIRST_MILESTONE)
        ratio = self.num_steps / first
        steps = {
            round(first * ratio ** (place / self.milestones)) for place in range(self.milestones)
        }
        return tuple(sorted(step for step in steps if step < self.num_steps))

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that affect the weights; all others are at their defaults."""
        defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(self)}
        plain = identity(dataclasses.replace(self, **{name: defaults[name] for name in HARMLESS}))
        # Fingerprints must stay what they were before these settings existed.
        del plain["milestones"]
        if not self.earlier_num_steps:
            del plain["earlier_num_steps"]
        assert isinstance(plain, dict)
        return plain

    @property
    def beginnings(self) -> tuple[TrainingConfig, ...]:
        """The shorter trainings that this one continues; it may resume from their checkpoints."""
        earlier = self.earlier_num_steps
        return tuple(
            dataclasses.replace(self, num_steps=length, earlier_num_steps=earlier[:number])
            for number, length in enumerate(earlier)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Why this differs from an uninterrupted training: one line per extension."""
        ends = (*self.earlier_num_steps, self.num_steps)
        return tuple(
            f"went on at step {end} to {later}: the learning rate rose again there, so the weights "
            f"are not those of an uninterrupted training of {later} steps"
            for end, later in itertools.pairwise(ends)
        )

    def horizon(self, step: int) -> int:
        """Length of the schedule that `step` belongs to: the first that ends after it."""
        ends = (*self.earlier_num_steps, self.num_steps)
        return next((end for end in ends if step < end), self.num_steps)
