"""A training goes on while its checkpoint is written, and ends when that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from short_training import StopAfter, future, new_run, train

from workbench.errors import NumericalError, ResourceError, StopRequested
from workbench.store.checkpoints import load_latest, newest_step
from workbench.store.new_checkpoint import HeldCheckpoint
from workbench.train import loop

PATIENCE = 60.0


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Do something in the background before the checkpoint of a step is written."""
    write = HeldCheckpoint.write

    def later(held: HeldCheckpoint, directory: Path, keep: int = 1) -> Path:
        if held.step == step:
            action()
        return write(held, directory, keep)

    monkeypatch.setattr(HeldCheckpoint, "write", later)


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Do something in the training before it goes beyond a step."""
    train_step = loop.train_step

    def watched(state: Any, *rest: Any) -> Any:
        if state.step == step:
            action()
        return train_step(state, *rest)

    monkeypatch.setattr(loop, "train_step", watched)


def no_room() -> None:
    raise ResourceError("no room")


def no_number() -> None:
    raise NumericalError("no number")


def test_steps_are_done_while_a_checkpoint_waits_and_change_nothing_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = new_run(tmp_path / "known")
    with pytest.raises(StopRequested):
        train(known, StopAfter(2))
    run, go_on = new_run(tmp_path / "study"), threading.Event()
    seen: list[int] = []
    meanwhile(monkeypatch, 2, lambda: seen.append(go_on.wait(PATIENCE)))

    def look_and_fail() -> None:
        seen.append(newest_step(run.vae_dir))
        go_on.set()
        no_number()

    at_step(monkeypatch, 3, look_and_fail)
    with pytest.raises(NumericalError):
        train(run)
    assert seen == [-1, True]
    # The failure has waited for the checkpoint, which holds step 2 although step 3 was done.
    assert future(load_latest(run.vae_dir)) == future(load_latest(known.vae_dir))


@pytest.mark.parametrize(("step", "before"), [(4, 2), (8, 6)])
def test_a_write_that_fails_ends_the_training_and_keeps_the_last_checkpoint(
    step: int, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write of step 8 is the last: no training ends well before it has."""
    run = new_run(tmp_path / "study")
    meanwhile(monkeypatch, step, no_room)
    with pytest.raises(ResourceError, match="no room"):
        train(run)
    assert newest_step(run.vae_dir) == before
