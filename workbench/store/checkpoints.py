"""Checkpoints: one directory `step-<n>` each; the newest undamaged one counts.

`model.safetensors` holds the weights, `optimizer.safetensors` the optimizer's tensors and any
others (generator states, averages), `state.json` what is not a tensor, `manifest.json` the sizes
and hashes of all three. Order comes from the step in the name, never from a clock.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DamagedArtefactError, InputError
from workbench.store.atomic import remove_directory, rename_directory
from workbench.store.manifest import verify
from workbench.store.schema import Schema
from workbench.store.tensors import load_tensors
from workbench.store.trees import unpack

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
SCHEMA = Schema(name="checkpoint", version=1, needs_release="0.1.0")
SLACK_BYTES = 1_000_000
READ_ATTEMPTS = 10
ASIDE = "damaged-"
_NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One loaded checkpoint; every tensor is on the CPU.

    Attributes:
        path: Its directory.
        step: Steps done when it was saved.
        model: Name -> weights, as `state_dict` gave them.
        state: The JSON values that were saved with it.
        tensors: The further tensors that were saved with it.
        notices: What was lost because of damaged newer checkpoints, one line each.
        optimizer: Class name and state of the optimizer; None if there was none or it was not read.
    """

    path: Path
    step: int
    model: dict[str, Tensor]
    state: dict[str, Any]
    tensors: dict[str, Tensor]
    notices: list[str]
    optimizer: dict[str, Any] | None

    def restore_optimizer(self, optimizer: Optimizer) -> None:
        """Put the stored state into `optimizer`, exactly as it was.

        Raises:
            InputError: None was stored, or one of another class or with other parameter groups.
        """
        if self.optimizer is None:
            raise InputError(f"{self.path}: holds no optimizer state, so training cannot resume")
        if self.optimizer["class"] != type(optimizer).__name__:
            raise InputError(
                f"{self.path}: holds the state of {self.optimizer['class']}, "
                f"which {type(optimizer).__name__} cannot take"
            )
        try:
            optimizer.load_state_dict(self.optimizer["state_dict"])
        except ValueError as error:
            raise InputError(f"{self.path}: {error}") from error


def load_latest(
    directory: Path, *, restart: bool = False, model_only: bool = False
) -> Checkpoint | None:
    """Load the newest undamaged checkpoint; its notices say what was lost.

    Args:
        directory: Holds the checkpoints of one training.
        restart: If every checkpoint is damaged, set them aside and start again.
        model_only: Do not read the optimizer and further tensors; enough for sampling.

    Returns:
        None if there is no checkpoint, or only damaged ones and `restart` is given.

    Raises:
        DamagedArtefactError: Every checkpoint is damaged and `restart` is not given.
        InputError: It was written by a newer release.
    """
    for _ in range(READ_ATTEMPTS):
        paths = list_checkpoints(directory)
        damage: dict[Path, str] = {}
        for path in reversed(paths):
            try:
                return load_checkpoint(path, model_only=model_only, notices=_losses(path, damage))
            except DamagedArtefactError as error:
                damage[path] = str(error)
        # A writer may have removed a listed checkpoint before it was read.
        if all(path.exists() for path in paths):
            break
    if not damage:
        return None
    if not restart:
        raise DamagedArtefactError(
            f"{directory}: no sound checkpoint ({'; '.join(damage.values())}); start again with "
            "--restart, which keeps the damaged files"
        )
    for path in damage:
        set_aside(path)
    return None


def load_checkpoint(
    path: Path, *, model_only: bool = False, notices: list[str] | None = None
) -> Checkpoint:
    """Verify and load one checkpoint directory.

    Raises:
        DamagedArtefactError: Names the file and what is wrong with it.
        InputError: It was written by a newer release.
    """
    verify(path, names=frozenset({MODEL, STATE}) if model_only else None)
    document = SCHEMA.migrate(json.loads((path / STATE).read_bytes()), str(path / STATE))
    training = {} if model_only else load_tensors(path / OPTIMIZER)
    tree = None if model_only else unpack(document["training"], training)
    return Checkpoint(
        path=path,
        step=document["step"],
        model=load_tensors(path / MODEL),
        state=document["state"],
        tensors=tree["tensors"] if tree else {},
        notices=notices or [],
        optimizer=tree["optimizer"] if tree else None,
    )


def list_checkpoints(directory: Path) -> list[Path]:
    """Published checkpoint directories, damaged or not, in the order of their steps."""
    if not directory.is_dir():
        return []
    found = [(step, path) for path in directory.iterdir() if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


def newest_step(directory: Path) -> int:
    """Step of the newest published checkpoint, damaged or not; -1 if there is none."""
    return max((step_of(path) or 0 for path in list_checkpoints(directory)), default=-1)


def prune(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` checkpoints; call only after the newest one verified.

    Returns:
        What was removed.
    """
    if keep < 1:
        raise ValueError(f"keep must be >= 1, got {keep}")
    removed = list_checkpoints(directory)[:-keep]
    for path in removed:
        remove_directory(path)
    return removed


def is_checkpoint_name(name: str) -> bool:
    """Whether a directory of this name is a checkpoint."""
    return _NAME.fullmatch(name) is not None


def is_set_aside(name: str) -> bool:
    """Whether a directory of this name is a damaged checkpoint that no longer counts."""
    return re.fullmatch(rf"{ASIDE}[0-9]+-{_NAME.pattern}", name) is not None


def set_aside(path: Path) -> Path:
    """Rename a checkpoint so that it no longer counts, keeping its files."""
    number = 1
    while os.path.lexists(target := path.with_name(f"{ASIDE}{number}-{path.name}")):
        number += 1
    rename_directory(path, target)
    return target


def _losses(path: Path, damage: Mapping[Path, str]) -> list[str]:
    """One line per damaged newer checkpoint."""
    return [
        f"{problem}; {path.name} is used instead, "
        f"{(step_of(bad) or 0) - (step_of(path) or 0)} steps are lost and done again"
        for bad, problem in damage.items()
    ]


def step_of(path: Path) -> int | None:
    """Step of a checkpoint directory; None if it is none."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match and path.is_dir() else None
