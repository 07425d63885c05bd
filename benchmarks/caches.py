"""What caching saves: teacher states in the REPA arm, latents in the flow stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import Row, Setting, compare
from benchmarks.training_steps import Step, dit_stepper, several, stepper, vae_stepper
from benchmarks.workload import Workload, open_workload
from models.teachers import Teacher, load_teacher
from workbench.machine.devices import autocast
from workbench.train.flow import FlowTask
from workbench.train.latents import Latents
from workbench.train.texts import load_texts
from workbench.train.vae import VAETask

CHECKED_TEXTS = 64
# Rounding: bfloat16 in the teacher's layers and stored states, float16 in stored latents.
LARGEST_STATE_ERROR, LARGEST_LATENT_ERROR = 2e-2, 1e-2


class LiveTeacher:
    """Stands in for `TeacherStates`: the teacher runs on every batch."""

    def __init__(self, workload: Workload) -> None:
        self.teacher: Teacher = load_teacher(workload.config.teacher)
        self.split = workload.corpus.split("train")
        self.standardiser = workload.teacher()._standardiser

    def gather(self, indices: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
        """States (B, L, W) and validity (B, L), as `TeacherStates.gather`."""
        offsets = self.split.token_offsets(indices)
        found = self.teacher.token_states(self.split.texts(indices), offsets)
        inside = torch.arange(length) < torch.from_numpy(found.lengths)[:, None]
        states = torch.zeros(len(indices), length, self.teacher.width)
        states[inside] = found.states[self.teacher.default_layer]
        valid = torch.zeros(len(indices), length, dtype=torch.bool)
        valid[inside] = found.valid
        return self.standardiser.apply(states, valid), valid


class LiveLatents:
    """Stands in for `Latents`: the VAE encodes every batch."""

    def __init__(self, workload: Workload, cached: Latents) -> None:
        self.vae, self.cuts = workload.vae().eval(), cached.cuts
        self.split, self.place = workload.corpus.split("train"), workload.place

    def gather(self, indices: np.ndarray, variants: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """mu, std (B, L, D) and cuts (B,), as `Latents.gather`."""
        cuts = self.cuts[indices, variants]
        batch = load_texts(self.split, indices, self.split.window, cuts)
        with torch.no_grad(), autocast(self.place, "auto"):
            posterior = self.vae.encode(batch.token_ids, batch.segments)
        if torch.is_autocast_enabled("cpu"):
            torch.clear_autocast_cache()
        std = (0.5 * posterior.logvar.float()).exp() / self.vae.latent_std
        return self.vae.normalise(posterior.mu.float()), std, batch.cuts

    def gather_vectors(self, indices: np.ndarray, variants: np.ndarray) -> None:
        """None: no benchmark's flow generates sentence vectors."""


class HeldLatents:
    """Stands in for `Latents`: always the same batch, from memory."""

    def __init__(self, cached: Latents, batch_size: int) -> None:
        rows = np.arange(batch_size)
        self.cuts, self.batch = cached.cuts, cached.gather(rows, 0 * rows)

    def gather(self, indices: np.ndarray, variants: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """The batch in memory."""
        return self.batch

    def gather_vectors(self, indices: np.ndarray, variants: np.ndarray) -> None:
        """None: no benchmark's flow generates sentence vectors."""


def teacher_states(setting: Setting) -> Iterator[Row]:
    """A REPA step on cached states, against a teacher in the loop and against no alignment."""
    workload = open_workload(setting.directory, "repa")
    live, rows = LiveTeacher(workload), np.arange(CHECKED_TEXTS)
    window = workload.corpus.window
    error = relative_error(workload.teacher().gather(rows, window)[0], live.gather(rows, window)[0])
    gate = f"cached against live states, relative error {error:.1e} < {LARGEST_STATE_ERROR}"
    live_step = _repa_step(workload, live)
    plain_step = vae_stepper(open_workload(setting.directory, "none"))
    peers = (
        ("teacher in the loop", live_step, 4.0, 7),
        ("the same step without alignment", plain_step, 1 / 1.1, 15),
    )
    for peer, step, goal, repeats in peers:
        # From step 0, like the peer, so that both draw the same noise at every step.
        cached_step = _repa_step(workload, workload.teacher())
        yield Row(
            stage="REPA step, cached teacher states",
            peer=peer,
            ratio=compare(several(cached_step), several(step), repeats=setting.repeats(repeats)),
            goal=goal,
            gate=gate,
            gate_passed=error < LARGEST_STATE_ERROR,
        )


def cached_latents(setting: Setting) -> Iterator[Row]:
    """A flow step on cached latents, against encoding in the loop and against no loading."""
    workload = open_workload(setting.directory)
    cached = workload.latents()
    live, rows = LiveLatents(workload, cached), np.arange(CHECKED_TEXTS)
    found, exact = cached.gather(rows, 0 * rows), live.gather(rows, 0 * rows)
    error = max(relative_error(found[i], exact[i]) for i in range(2))
    held = HeldLatents(cached, workload.config.flow_training.batch_size)
    peers = (
        ("encoding in the loop", _flow_step(workload, live), None),
        ("the DiT step alone, its batch in memory", _flow_step(workload, held), 1 / 1.05),
    )
    for peer, step, goal in peers:
        ours = dit_stepper(workload)
        yield Row(
            stage="flow step, cached latents",
            peer=peer,
            ratio=compare(several(ours), several(step), repeats=setting.repeats(20)),
            goal=goal,
            gate=f"cached against live mu and std, relative error {error:.1e} "
            f"< {LARGEST_LATENT_ERROR}",
            gate_passed=error < LARGEST_LATENT_ERROR,
        )


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Frobenius norm of the difference, divided by that of `exact`."""
    return float((found - exact).norm() / exact.norm())


def _repa_step(workload: Workload, teacher: Any) -> Step:
    training, place = workload.config.vae_training, workload.place
    plan = workload.plan(training)
    task = VAETask(workload.vae(), workload.config, workload.corpus, teacher, plan, place)
    return stepper(task, training, workload)


def _flow_step(workload: Workload, latents: Any) -> Step:
    training, place = workload.config.flow_training, workload.place
    plan = workload.plan(training)
    task = FlowTask(workload.dit(), workload.config, cast(Latents, latents), plan, place)
    return stepper(task, training, workload)
