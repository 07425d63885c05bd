"""Weights kept on the way: which steps, whatever happens in between, and without touching a bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from short_training import StopAfter
from training_tasks import bits, build_task, checkpoint_bits, run_fit, small_training

from models.text_vae import TextVAE
from workbench.config.training import TrainingConfig
from workbench.errors import DamagedArtefactError, NumericalError, StopRequested
from workbench.pipeline.verify import verify_path
from workbench.store.checkpoints import list_checkpoints, load_latest
from workbench.store.milestones import (
    Milestone,
    list_milestones,
    load_milestone,
    save_milestone,
)


@pytest.mark.parametrize("num_steps", [1, 2, 8, 400, 2600, 200_000])
@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_steps_are_geometric_and_before_the_end(num_steps, count):
    steps = TrainingConfig(num_steps=num_steps, milestones=count).milestone_steps
    assert len(steps) <= count
    assert list(steps) == sorted(set(steps))
    assert all(0 < step < num_steps for step in steps)
    if count and num_steps >= 400:
        assert steps[0] == round(num_steps / 50)
    if count == 5 and num_steps >= 400:
        ratios = [b / a for a, b in zip(steps, [*steps[1:], num_steps], strict=True)]
        assert max(ratios) / min(ratios) < 1.1


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="milestones must be >= 0, got -1"):
        TrainingConfig(milestones=-1)


def kept(directory: Path) -> dict[int, Any]:
    """Step -> bits of the weights."""
    return {m.step: bits(load_milestone(m)) for m in list_milestones(directory, "print")}


@pytest.mark.parametrize("name", ["vae", "flow"])
def test_milestones_and_records_change_no_bit(name, smoke, corpus, tmp_path):
    plain = small_training(log_every=100)
    watched = small_training(milestones=3, log_every=1)
    run_fit(build_task(name, smoke, corpus), plain, tmp_path / "plain")
    run_fit(build_task(name, smoke, corpus), watched, tmp_path / "watched")
    assert kept(tmp_path / "plain") == {}
    assert list(kept(tmp_path / "watched")) == [1, 2, 3]
    a, b = (load_latest(tmp_path / folder) for folder in ("plain", "watched"))
    assert checkpoint_bits(a) == checkpoint_bits(b)


def test_a_milestone_is_the_average_where_there_is_one(smoke, corpus, tmp_path):
    run_fit(build_task("flow", smoke, corpus), small_training(milestones=3), tmp_path)
    with pytest.raises(StopRequested):
        run_fit(
            build_task("flow", smoke, corpus), small_training(), tmp_path / "s", stop=StopAfter(2)
        )
    checkpoint = load_latest(tmp_path / "s")
    assert checkpoint is not None
    assert kept(tmp_path)[2] == bits(checkpoint.model)


def test_retention_leaves_milestones_alone(smoke, corpus, tmp_path):
    config = small_training(milestones=3, checkpoint_every=1, keep_checkpoints=1)
    run_fit(build_task("vae", smoke, corpus), config, tmp_path)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-4"]
    assert list(kept(tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_death_at_a_milestone_leaves_the_same_set(dies_at, smoke, corpus, tmp_path, monkeypatch):
    config = small_training(milestones=3, checkpoint_every=1)
    run_fit(build_task("vae", smoke, corpus), config, tmp_path / "whole")

    def die(snapshot: Any, step: int, directory: Path, fingerprint: str) -> None:
        if step == dies_at:
            raise KeyboardInterrupt
        write(snapshot, step, directory, fingerprint)

    from workbench.train.saving import write_milestone as write

    monkeypatch.setattr("workbench.train.saving.write_milestone", die)
    with pytest.raises(KeyboardInterrupt):
        run_fit(build_task("vae", smoke, corpus), config, tmp_path / "parts")
    monkeypatch.undo()
    run_fit(build_task("vae", smoke, corpus), config, tmp_path / "parts")
    assert kept(tmp_path / "parts") == kept(tmp_path / "whole")


def test_steps_trained_again_are_written_again(smoke, corpus, tmp_path):
    config = small_training(milestones=3)
    run_fit(build_task("vae", smoke, corpus), config, tmp_path / "whole")
    stray = {name: x + 1 for name, x in build_task("vae", smoke, corpus).model.state_dict().items()}
    save_milestone(tmp_path / "parts", 2, stray, "print", {})
    save_milestone(tmp_path / "parts", 7, stray, "another training", {})
    run_fit(build_task("vae", smoke, corpus), config, tmp_path / "parts")
    assert kept(tmp_path / "parts") == kept(tmp_path / "whole")


def test_it_loads_by_from_pretrained(smoke, corpus, tmp_path):
    run_fit(build_task("vae", smoke, corpus), small_training(milestones=1), tmp_path)
    (milestone,) = list_milestones(tmp_path, "print")
    model = TextVAE.from_pretrained(milestone.path)
    assert bits(dict(model.state_dict())) == bits(load_milestone(milestone))


def damaged(milestone: Milestone) -> None:
    file = milestone.path / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_damage_is_found_and_not_read(tmp_path):
    save_milestone(tmp_path, 3, {"w": torch.ones(4)}, "print", {})
    assert verify_path(tmp_path).sound
    (milestone,) = list_milestones(tmp_path, "print")
    damaged(milestone)
    assert not verify_path(tmp_path).sound
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors"):
        load_milestone(milestone)
    (milestone.path / "manifest.json").unlink()
    assert not verify_path(tmp_path).sound
    with pytest.raises(DamagedArtefactError, match=r"manifest\.json"):
        list_milestones(tmp_path, "print")


def test_weights_that_are_not_finite_are_never_kept(tmp_path):
    with pytest.raises(NumericalError, match="step 3: milestone"):
        save_milestone(tmp_path, 3, {"w": torch.tensor([torch.nan])}, "print", {})
    assert list_milestones(tmp_path, "print") == []
