"""The engine's three training tasks at toy size on the smoke study, and ways to disturb them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data.batches import Batch, BatchConfig, BatchPlan
from data.corpus_store import Corpus
from workbench.config.training import TrainingConfig
from workbench.machine.devices import find_placement
from workbench.machine.stopping import StopSignal
from workbench.store.checkpoints import Checkpoint
from workbench.study.folders import Run, Study
from workbench.train.flow import FlowTask, build_dit
from workbench.train.language_model import LanguageModelTask
from workbench.train.language_model import _build as build_language_model
from workbench.train.latents import open_latents
from workbench.train.loop import Task, fit
from workbench.train.teacher_states import TeacherStates
from workbench.train.vae import VAETask, build_vae, teacher_width, vae_config
from workbench.train.window import StepRecord

PLACE = find_placement("cpu")
TASKS = ("vae", "flow", "language_model")


class OneBatch:
    """The same texts at every step."""

    def __init__(self, plan: BatchPlan) -> None:
        self._batch = plan.batch(0)

    def batch(self, step: int) -> Batch:
        return self._batch


class Poisoned:
    """A task whose loss is not finite at the given steps."""

    def __init__(self, task: Task, steps: set[int], value: float = float("nan")) -> None:
        self.name, self.model, self.objective = task.name, task.model, task.objective
        self._task, self._steps, self._value = task, steps, value

    def loss(self, objective: nn.Module, step: int) -> tuple[dict[str, Tensor], int]:
        metrics, num_tokens = self._task.loss(objective, step)
        if step in self._steps:
            metrics = {**metrics, "loss": metrics["loss"] * self._value}
        return metrics, num_tokens


def build_task(name: str, study: Study, corpus: Corpus, *, one_batch: bool = False) -> Task:
    """A fresh task of the arm with alignment, four texts a batch."""
    run = study.run("repa", 0)
    if name == "mmdit":
        arms = {"repa": {**study.config.arms["repa"], "dit.backbone": "mmdit"}}
        run = Study(study.directory, replace(study.config, arms=arms)).run("repa", 0)
    split = corpus.split("train")
    plan: Any = BatchPlan(split.lengths, corpus.window, BatchConfig(batch_size=4), 0)
    plan = OneBatch(plan) if one_batch else plan
    if name == "vae":
        return _vae_task(run, corpus, plan)
    if name in ("flow", "mmdit"):
        latents = open_latents(run.latents_dir, "train")
        return FlowTask(build_dit(run, PLACE), run.config, latents, plan, PLACE)
    model = build_language_model(run.config, corpus, PLACE)
    task = LanguageModelTask(model, run.config, corpus, PLACE)
    task._plan = plan
    return task


def _vae_task(run: Run, corpus: Corpus, plan: Any) -> VAETask:
    config = run.config
    sizes = vae_config(config, corpus, teacher_width(run.study, config))
    split = corpus.split("train")
    teacher = TeacherStates(run.study.teacher_dir(config), "train", split, config.teacher)
    return VAETask(build_vae(sizes, 0, PLACE), config, corpus, teacher, plan, PLACE)


def small_training(**changes: Any) -> TrainingConfig:
    """Four steps of four texts, with an average, saved at the end only."""
    known = {"num_steps": 4, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 100}
    return TrainingConfig(**{**known, "ema_decay": 0.9, "log_every": 1, **changes})


def run_fit(
    task: Task, config: TrainingConfig, directory: Path, **options: Any
) -> list[StepRecord]:
    """All records of a training."""
    options = {"fingerprint": "print", "stop": StopSignal(), **options}
    return list(fit(task, config, directory, PLACE, **options))


def bits(value: Any) -> Any:
    """A nest of tensors and plain values, comparable by `==` bit for bit."""
    if isinstance(value, Tensor):
        raw = value.detach().contiguous().flatten().view(torch.uint8)
        return str(value.dtype), tuple(value.shape), raw.numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return value


def checkpoint_bits(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Everything of a checkpoint that decides what comes after it."""
    assert checkpoint is not None
    return {
        "step": checkpoint.step,
        "model": bits(checkpoint.model),
        "tensors": bits(checkpoint.tensors),
        "optimizer": bits(checkpoint.optimizer),
    }


Make = Callable[..., Task]
