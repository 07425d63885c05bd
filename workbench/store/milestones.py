"""Milestones: weights kept permanently at chosen steps of a training, to compare them later.

They are in `milestones/step-<n>` beside the checkpoints, hold weights without an optimiser, and are
never pruned. A training writes each again when it passes the step, so a resumed training leaves
the same set, with the same bits, as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.store.atomic import publish
from workbench.store.checkpoints import MODEL, SLACK_BYTES, list_checkpoints
from workbench.store.durable import write_durably
from workbench.store.faults import check_room
from workbench.store.manifest import read_manifest, verify
from workbench.store.tensors import (
    count_bytes,
    detached,
    load_tensors,
    refuse_non_finite,
    save_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor

MILESTONES = "milestones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Milestone:
    """Weights of a training at one step, on disk.

    Attributes:
        path: its directory.
        step: steps done.
        content: sha256 of the weights, 64 hex digits.
    """

    path: Path
    step: int
    content: str


def save_milestone(
    directory: Path,
    step: int,
    model: Mapping[str, Tensor],
    fingerprint: str,
    files: Mapping[str, str],
) -> Path:
    """Publish `directory/milestones/step-<n>`, replacing an existing one.

    Args:
        directory: holds the checkpoints of one training.
        step: steps done.
        model: name -> weights.
        fingerprint: of the training.
        files: file name -> text to lay beside the weights, such as `config.json`.

    Raises:
        NumericalError: the weights hold NaN or infinity; nothing was written.
        ResourceError: no room; nothing was written.
    """
    weights = detached(model)
    refuse_non_finite(weights, f"step {step}: milestone")
    path = directory / MILESTONES / f"step-{step}"
    check_room(path, count_bytes(weights.values()) + SLACK_BYTES)
    meta = {"kind": "milestone", "step": step, "fingerprint": fingerprint}
    with publish(path, meta=meta) as temporary:
        save_tensors(temporary / MODEL, weights)
        for name, text in files.items():
            write_durably(temporary / name, text.encode())
    return path


def list_milestones(directory: Path, *fingerprints: str) -> list[Milestone]:
    """The milestones of the training with one of these fingerprints, in the order of their steps.

    An extended training also has those of the shorter ones.

    Raises:
        DamagedArtefactError: a manifest is missing or damaged.
    """
    found = []
    for path in list_checkpoints(directory / MILESTONES):
        manifest = read_manifest(path)
        if manifest.meta.get("fingerprint") in fingerprints:
            found.append(weights_at(path, int(path.name.removeprefix("step-"))))
    return found


def weights_at(path: Path, step: int) -> Milestone:
    """A milestone, or a checkpoint treated as one.

    Raises:
        DamagedArtefactError: its manifest is missing or damaged.
        InputError: it holds no weights.
    """
    files = read_manifest(path).files
    if MODEL not in files:
        raise InputError(f"{path}: holds no {MODEL}")
    return Milestone(path=path, step=step, content=files[MODEL].sha256)


def load_milestone(milestone: Milestone) -> dict[str, Tensor]:
    """Verified weights, on the CPU.

    Raises:
        DamagedArtefactError: names the file and what is wrong with it.
    """
    verify(milestone.path, names=frozenset({MODEL}))
    return load_tensors(milestone.path / MODEL)
