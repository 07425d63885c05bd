"""A new checkpoint: held in memory, written, verified; only then are older ones removed.

A held checkpoint shares nothing with the training, which may go on while it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DamagedArtefactError, InputError
from workbench.store.atomic import publish, sweep_within
from workbench.store.checkpoints import (
    MODEL,
    OPTIMIZER,
    SCHEMA,
    SLACK_BYTES,
    STATE,
    list_checkpoints,
    prune,
    set_aside,
    step_of,
)
from workbench.store.durable import write_durably
from workbench.store.faults import check_room
from workbench.store.manifest import verify
from workbench.store.tensors import copied, count_bytes, detached, refuse_non_finite, save_tensors
from workbench.store.trees import pack

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldCheckpoint:
    """What one checkpoint will hold; see `hold_checkpoint`.

    Attributes:
        step: steps done.
        document: the content of `state.json`.
        weights: the tensors of `model.safetensors`.
        training: the tensors of `optimizer.safetensors`.
        files: file name -> text to store beside them.
    """

    step: int
    document: bytes
    weights: Mapping[str, Tensor]
    training: Mapping[str, Tensor]
    files: Mapping[str, str]

    def write(self, directory: Path, keep: int = 1) -> Path:
        """Write `directory/step-<n>`; older ones are removed only after the new one is verified.

        Args:
            directory: Holds the checkpoints of one training.
            keep: Newest checkpoints to retain, >= 1.

        Returns:
            The directory of the new checkpoint.

        Raises:
            ResourceError: No room; the previous checkpoint is unchanged.
            InputError: The step lies behind a sound checkpoint, or `directory` cannot be written.
            DamagedArtefactError: The written files do not read back the same: the disk is failing.
        """
        if keep < 1:
            raise ValueError(f"keep must be >= 1, got {keep}")
        _make_way(directory, self.step)
        if directory.is_dir():
            sweep_within(directory)
        size = count_bytes([*self.weights.values(), *self.training.values()])
        check_room(directory, size + SLACK_BYTES)
        path = directory / f"step-{self.step}"
        with publish(path, meta={"kind": "checkpoint", "step": self.step}) as temporary:
            save_tensors(temporary / MODEL, self.weights)
            save_tensors(temporary / OPTIMIZER, self.training)
            write_durably(temporary / STATE, self.document)
            for name, text in self.files.items():
                write_durably(temporary / name, text.encode())
        verify(path, cold=True)
        prune(directory, keep)
        return path


def hold_checkpoint(
    step: int,
    model: Mapping[str, Tensor],
    optimizer: Optimizer | None,
    state: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    copy: bool = True,
) -> HeldCheckpoint:
    """Check and copy what a checkpoint will hold.

    Args:
        step: Steps done so far, >= 0.
        model: Name -> weights.
        optimizer: Its state is stored too, unless None.
        state: JSON values (position, losses, fingerprint).
        tensors: Further tensors, such as generator states.
        files: File name -> text to store beside the weights, such as `config.json`.
        copy: Copy tensors that are in this machine's memory already; without it nothing may change
            until the checkpoint is written.

    Raises:
        NumericalError: Weights or optimizer state hold NaN or infinity.
        InputError: `state` is not JSON.
    """
    if step < 0:
        raise ValueError(f"step must be >= 0, got {step}")
    document, training = _training_state(step, optimizer, state, tensors or {})
    refuse_non_finite(model, f"step {step}: model")
    refuse_non_finite(training, f"step {step}: training state")
    own = copied if copy else detached
    return HeldCheckpoint(
        step=step,
        document=document,
        weights=own(model),
        training=own(training),
        files=dict(files or {}),
    )


def save_checkpoint(
    directory: Path,
    step: int,
    model: Mapping[str, Tensor],
    optimizer: Optimizer | None,
    state: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
    keep: int = 1,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Hold a checkpoint without copying it, and write it at once.

    Args and errors as for `hold_checkpoint` and `HeldCheckpoint.write`.
    """
    held = hold_checkpoint(step, model, optimizer, state, tensors, files, copy=False)
    return held.write(directory, keep)


def _training_state(
    step: int,
    optimizer: Optimizer | None,
    state: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> tuple[bytes, dict[str, Tensor]]:
    """`state.json` as bytes, and the tensors of `optimizer.safetensors`."""
    stored = optimizer and {
        "class": type(optimizer).__name__,
        "state_dict": optimizer.state_dict(),
    }
    tree, training = pack({"optimizer": stored, "tensors": dict(tensors)})
    document = SCHEMA.stamp({"step": step, "state": dict(state), "training": tree})
    try:
        text = json.dumps(document, indent=1, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise InputError(f"state of step {step} is not JSON: {error}") from error
    return f"{text}\n".encode(), training


def _make_way(directory: Path, step: int) -> None:
    """Set damaged checkpoints at or after `step` aside, so that they do not shadow the new one."""
    for path in list_checkpoints(directory):
        if (step_of(path) or 0) < step:
            continue
        try:
            verify(path)
        except DamagedArtefactError:
            set_aside(path)
            continue
        if step_of(path) != step:
            raise InputError(
                f"{path}: lies after step {step}, which is to be saved; resume from it, or train "
                "in another directory"
            )
