"""What a training writes on its way, checkpoints and milestones, and how it finds them again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from workbench.store.background import BackgroundWrites
from workbench.store.checkpoints import Checkpoint, load_latest, newest_step
from workbench.store.faults import check_room
from workbench.store.milestones import save_milestone
from workbench.store.new_checkpoint import HeldCheckpoint, hold_checkpoint
from workbench.train.state import (
    LIVE,
    Snapshot,
    TrainState,
    checkpoint_bytes,
    restore,
    take_snapshot,
    weights_bytes,
)

if TYPE_CHECKING:
    from workbench.config.training import TrainingConfig
    from workbench.machine.devices import Placement
    from workbench.train.window import Window


class Hooks:
    """What a stage does around its checkpoints, in the main process only; here it does nothing."""

    def before_last_save(self, weights: nn.Module) -> None:
        """Complete the final weights before they are saved."""

    def after_save(self, weights: nn.Module, step: int) -> None:
        """Look at a new checkpoint's weights; it may still be written. Not called when stopping."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saver:
    """Resumes one training, and saves it where its settings say.

    Checkpoints are written in the background while the training goes on, each from a copy in
    memory; the last one is on the disk before `save_if_due` returns.

    Attributes:
        directory: folder of the `step-<n>` checkpoints and the milestones.
        config: the training settings.
        place: device and rank; only the main process writes.
        fingerprint: of the whole stage.
        facts: what affects a step's exact bits besides settings and seed.
        hooks: what the stage does around its checkpoints.
        writes: the checkpoint that is being written.
    """

    directory: Path
    config: TrainingConfig
    place: Placement
    fingerprint: str
    facts: Mapping[str, object]
    hooks: Hooks
    writes: BackgroundWrites = field(default_factory=BackgroundWrites)

    def resume(self, state: TrainState, beginnings: tuple[str, ...], restart: bool) -> None:
        """Restore the newest sound checkpoint, if there is one, and check the room for the rest.

        Args:
            state: as built for a training from step 0; changed in place.
            beginnings: fingerprints of shorter trainings that this one may continue.
            restart: start again from step 0 if every checkpoint is damaged.
        """
        checkpoint = load_latest(self.directory, restart=restart)
        if checkpoint is not None:
            check_fingerprint(checkpoint, (self.fingerprint, *beginnings), self.directory)
            restore(state, checkpoint, self.facts)
        # Every later checkpoint records that the training was extended, and the user is told.
        new = [line for line in self.config.notes if line not in state.inexact]
        state.inexact += new
        state.notices += new
        if self.place.is_main and state.step < self.config.num_steps:
            left = sum(step > state.step for step in self.config.milestone_steps)
            check_room(self.directory, checkpoint_bytes(state) + left * weights_bytes(state))

    def save_if_due(self, state: TrainState, window: Window, stopping: bool) -> None:
        """Write what is due after this step; every process must call this.

        Args:
            state: after the step.
            window: its means go into the model card.
            stopping: write a checkpoint in any case.

        Raises:
            NumericalError, ResourceError, InputError, DamagedArtefactError: this checkpoint, or the
                one before, cannot be written; see `hold_checkpoint` and `HeldCheckpoint.write`.
        """
        self.writes.check()
        finished = state.step == self.config.num_steps
        is_milestone = state.step in self.config.milestone_steps
        is_due = finished or stopping or state.step % self.config.checkpoint_every == 0
        if not (is_due or is_milestone):
            return
        snapshot = take_snapshot(state, self.place)
        if not self.place.is_main:
            return
        if is_milestone:
            # Before the checkpoint: resuming from it starts after this step's milestone.
            write_milestone(snapshot, state.step, self.directory, self.fingerprint)
        if is_due:
            if finished:
                self.hooks.before_last_save(snapshot.weights)
            held = self._hold(snapshot, state, window.means())
            self.writes.start(partial(held.write, self.directory, self.config.keep_checkpoints))
            if finished or stopping:
                self.writes.wait()
            if not stopping:
                self.hooks.after_save(snapshot.weights, state.step)

    def _hold(
        self, snapshot: Snapshot, state: TrainState, metrics: Mapping[str, float]
    ) -> HeldCheckpoint:
        """A copy of `step-<n>`; its `model.safetensors` holds the weights to use afterwards.

        `config.json` is stored beside them, so the model's `from_pretrained` can load them. The
        model card shows `metrics`.
        """
        known: dict[str, object] = {
            **self.facts,
            "fingerprint": self.fingerprint,
            "skipped": state.skipped,
            "inexact": state.inexact,
        }
        if state.average is not None:
            known["num_averaged"] = int(state.average.n_averaged)
        return hold_checkpoint(
            state.step,
            snapshot.weights.state_dict(),
            snapshot.optimizer,
            known,
            {LIVE + name: tensor for name, tensor in snapshot.live.items()},
            files={
                "config.json": _config_text(snapshot.weights),
                "README.md": model_card(snapshot.weights, state.step, metrics),
            },
        )


def write_milestone(snapshot: Snapshot, step: int, directory: Path, fingerprint: str) -> None:
    """Keep a snapshot's weights under `directory/milestones`, to compare with later ones."""
    model = snapshot.weights
    files = {"config.json": _config_text(model)}
    save_milestone(directory, step, model.state_dict(), fingerprint, files)


def _config_text(model: nn.Module) -> str:
    return json.dumps(asdict(model.config), indent=2)  # type: ignore[call-overload]


def model_card(model: nn.Module, step: int, metrics: Mapping[str, float]) -> str:
    """The text of a model card: what the weights are and what they scored in training."""
    known = {name: value for name, value in sorted(metrics.items()) if math.isfinite(value)}
    rows = [f"| {name} | {value:.4g} |" for name, value in known.items()]
    table = "\n".join(["| metric | value |", "|---|---|", *rows])
    card = model.generate_model_card(  # type: ignore[operator]
        model_name=f"{type(model).__name__} after {step} steps",
        metrics=f"Means over the last logged steps of training.\n\n{table}",
    )
    return str(card)


def load_finished(
    directory: Path, num_steps: int, fingerprint: str, *, restart: bool = False
) -> Checkpoint | None:
    """The weights of a training that has reached `num_steps` under `fingerprint`, else None.

    What has not come that far is not read at all.
    """
    if newest_step(directory) < num_steps:
        return None
    checkpoint = load_latest(directory, restart=restart, model_only=True)
    if checkpoint is None or checkpoint.step < num_steps:
        return None
    check_fingerprint(checkpoint, (fingerprint,), directory)
    return checkpoint


def check_fingerprint(
    checkpoint: Checkpoint, fingerprints: tuple[str, ...], directory: Path
) -> None:
    """Refuse a checkpoint of a training with other settings.

    Raises:
        ValueError: naming both fingerprints.
    """
    found = checkpoint.state.get("fingerprint")
    if found not in fingerprints:
        raise ValueError(
            f"{directory}: the checkpoint at step {checkpoint.step} was trained under another "
            f"configuration ({found}, now {fingerprints[0]}); restore the settings or use a new run"
        )
