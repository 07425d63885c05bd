"""Checkpoints: exact round trips, damage found and gone around, retention, refusals."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_training import TinyTraining, restored_bits

from workbench import store
from workbench.errors import DamagedArtefactError, InputError, NumericalError, ResourceError
from workbench.store import checkpoints, faults, new_checkpoint

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


@pytest.fixture
def two_saved(tmp_path) -> Path:
    """A directory with sound checkpoints of steps 2 and 5."""
    training = TinyTraining().run(2)
    training.save(tmp_path / "vae", keep=2)
    training.run(3).save(tmp_path / "vae", keep=2)
    return tmp_path / "vae"


@pytest.mark.parametrize("fused", [True, False])
def test_two_and_two_steps_equal_four_bit_for_bit(tmp_path, fused):
    TinyTraining(fused=fused).run(2).save(tmp_path)
    resumed = TinyTraining(seed=7, fused=fused).restore(store.load_latest(tmp_path))
    assert resumed.run(2).bits() == TinyTraining(fused=fused).run(4).bits()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.1), capturable=False, foreach=False),
        lambda p: torch.optim.AdamW(p, amsgrad=True),
        lambda p: torch.optim.SGD(p, momentum=0.9),
        lambda p: torch.optim.LBFGS(p, max_iter=2, history_size=3),
        lambda p: torch.optim.Adafactor(p),
    ],
    ids=["tensor-lr", "amsgrad", "sgd", "lbfgs", "adafactor"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_optimizer_state_round_trips_exactly(tmp_path, make, dtype):
    def build() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = torch.nn.Linear(3, 2).to(dtype)
        return model, make(model.parameters())

    def run(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(torch.ones(4, 3, dtype=dtype)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)

    model, optimizer = build()
    run(model, optimizer)
    store.save_checkpoint(tmp_path, 1, model.state_dict(), optimizer, {})
    other_model, other = build()
    checkpoint = store.load_latest(tmp_path)
    other_model.load_state_dict(checkpoint.model)
    checkpoint.restore_optimizer(other)
    for parts in ((model, optimizer), (other_model, other)):
        run(*parts)
    assert repr(other.state_dict()["param_groups"]) == repr(optimizer.state_dict()["param_groups"])
    torch.testing.assert_close(other.state_dict(), optimizer.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(other_model.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_what_goes_in_comes_out(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    model = {"embed": shared, "head": shared, "turned": shared.T, "half": shared[:1].bfloat16()}
    state = {"loss": 0.1, "order": [1, None, {"a": True}], "text": "naïve \u2028 😀"}
    tensors = {"counts": torch.tensor([1, 2]), "none": torch.zeros(0, 3), "one": torch.tensor(2.5)}
    store.save_checkpoint(tmp_path, 0, model, None, state, tensors, files={"config.json": "{}\n"})
    checkpoint = store.load_latest(tmp_path)
    assert checkpoint.step == 0
    assert checkpoint.state == state
    torch.testing.assert_close(checkpoint.model, model, rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.tensors, tensors, rtol=0, atol=0)
    assert (checkpoint.path / "config.json").read_text() == "{}\n"
    assert store.load_latest(tmp_path, model_only=True).tensors == {}
    checkpoint.model["embed"].add_(1)  # loaded tensors are ours: the file must not follow
    store.verify(checkpoint.path)


def test_nothing_saved_is_none(tmp_path):
    assert store.load_latest(tmp_path / "absent") is None
    (tmp_path / "step-x").mkdir()
    (tmp_path / "step-03").mkdir()
    assert store.load_latest(tmp_path) is None


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_refused_and_the_previous_used(two_saved, name):
    victim = two_saved / "step-5" / name
    content = victim.read_bytes()
    offsets = sorted({0, 1, len(content) - 1, *range(0, len(content), len(content) // 30)})
    for offset in offsets:
        victim.write_bytes(content[:offset])
        checkpoint = store.load_latest(two_saved)
        assert checkpoint.step == 2, f"{name} cut at {offset} was believed"
        assert len(checkpoint.notices) == 1
        assert name in checkpoint.notices[0]
        assert "3 steps are lost" in checkpoint.notices[0]
    assert len(offsets) > 30


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_refused_and_the_previous_used(two_saved, name):
    victim, chance = two_saved / "step-5" / name, random.Random(name)
    content = victim.read_bytes()
    for _ in range(150):
        position, bit = chance.randrange(len(content)), chance.randrange(8)
        flipped = bytearray(content)
        flipped[position] ^= 1 << bit
        victim.write_bytes(flipped)
        checkpoint = store.load_latest(two_saved)
        assert checkpoint.step == 2, f"{name} with bit {bit} of byte {position} was believed"
        assert name in checkpoint.notices[0]
    victim.write_bytes(content)
    assert store.load_latest(two_saved).step == 5


def test_missing_extra_and_foreign_files_are_refused(two_saved):
    newest, kept = two_saved / "step-5", two_saved.parent / "kept"
    shutil.copytree(newest, kept)

    def refused(change: Callable[[], object], problem: str) -> None:
        change()
        checkpoint = store.load_latest(two_saved)
        assert checkpoint.step == 2
        assert f": {problem}" in checkpoint.notices[0]
        shutil.rmtree(newest)
        shutil.copytree(kept, newest)

    for name in FILES:
        refused((newest / name).unlink, "missing")
    refused(lambda: (newest / "shard-2.safetensors").write_bytes(b""), "extra")
    model = "model.safetensors"
    refused(lambda: shutil.copy(two_saved / "step-2" / model, newest / model), "changed")

    def link() -> None:
        (newest / model).unlink()
        (newest / model).symlink_to(kept / model)

    refused(link, "foreign")
    refused(lambda: (newest / "more").symlink_to(kept), "extra")
    assert store.load_latest(two_saved).step == 5


def test_a_manifest_made_again_by_hand_is_still_foreign(two_saved):
    newest = two_saved / "step-5"
    manifest = json.loads((newest / "manifest.json").read_text())
    (newest / "manifest.json").write_text('{"files": {}, "meta": {}, "schema": 1}\n')
    assert store.load_latest(two_saved).step == 2
    state = (newest / "state.json").read_bytes() + b" "  # as good to read, and its record fits
    (newest / "state.json").write_bytes(state)
    record = {"size": len(state), "sha256": hashlib.sha256(state).hexdigest()}
    manifest["files"]["state.json"] = record
    (newest / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    assert "does not match its own sha256" in store.load_latest(two_saved).notices[0]


def test_all_damaged_stops_unless_restart_and_keeps_the_files(two_saved):
    for step in (2, 5):
        (two_saved / f"step-{step}" / "state.json").write_text("{}")
    with pytest.raises(DamagedArtefactError, match=r"--restart") as caught:
        store.load_latest(two_saved)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert "step-2" in str(caught.value)
    assert store.load_latest(two_saved, restart=True) is None
    kept = sorted(path.name for path in two_saved.iterdir())
    assert kept == ["damaged-1-step-2", "damaged-1-step-5"]
    assert (two_saved / "damaged-1-step-5" / "model.safetensors").is_file()
    assert store.load_latest(two_saved) is None


def test_restart_keeps_what_is_sound(two_saved):
    (two_saved / "step-5" / "state.json").write_text("{}")
    assert store.load_latest(two_saved, restart=True).step == 2


def test_lost_steps_done_again_replace_the_damaged_ones(two_saved):
    (two_saved / "step-5" / "state.json").write_text("{}")
    training = TinyTraining().restore(store.load_latest(two_saved)).run(1)
    training.save(two_saved, keep=1)
    assert sorted(path.name for path in two_saved.iterdir()) == ["damaged-1-step-5", "step-3"]
    assert restored_bits(store.load_latest(two_saved)) == TinyTraining().run(3).bits()
    training.save(two_saved)  # the same step again, as a stop right after a save does it
    assert store.load_latest(two_saved).step == 3


def test_a_save_behind_a_sound_checkpoint_is_refused(two_saved):
    with pytest.raises(InputError, match="step-5: lies after step 3"):
        TinyTraining().run(3).save(two_saved)
    assert store.load_latest(two_saved).step == 5


def test_retention_keeps_the_newest_by_step_whatever_the_clock(tmp_path):
    training = TinyTraining()
    for _ in range(4):
        path = training.run(1).save(tmp_path, keep=2)
        os.utime(path, (1e9 - 1e6 * training.step, 1e9 - 1e6 * training.step))
    assert [path.name for path in store.list_checkpoints(tmp_path)] == ["step-3", "step-4"]
    os.utime(training.run(6).save(tmp_path, keep=2), (0, 0))
    assert [path.name for path in store.list_checkpoints(tmp_path)] == ["step-4", "step-10"]
    assert store.load_latest(tmp_path).step == 10


def test_the_old_one_stays_when_the_new_one_reads_back_otherwise(two_saved, monkeypatch):
    publish = new_checkpoint.publish

    def rotten(directory: Path, **options: object) -> object:
        from contextlib import contextmanager

        @contextmanager
        def published():
            with publish(directory, **options) as temporary:
                yield temporary
            model = directory / "model.safetensors"
            model.write_bytes(model.read_bytes()[:-1] + b"?")

        return published()

    monkeypatch.setattr(new_checkpoint, "publish", rotten)
    with pytest.raises(DamagedArtefactError, match="changed"):
        TinyTraining().run(6).save(two_saved)
    monkeypatch.undo()
    assert store.load_latest(two_saved).step == 5


def test_the_new_one_is_read_back_from_the_disk_itself(two_saved, monkeypatch):
    dropped, posix_fadvise = [], os.posix_fadvise

    def watched(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        dropped.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        assert (two_saved / "step-5").is_dir(), "removed before the new one was read back"
        posix_fadvise(descriptor, offset, length, advice)

    monkeypatch.setattr(os, "posix_fadvise", watched)
    path = TinyTraining().run(6).save(two_saved)
    assert sorted(dropped) == sorted(path / name for name in FILES if name != "manifest.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_weights_and_moments_are_never_saved(two_saved, value):
    training = TinyTraining().run(6)
    training.optimizer.state[training.model[0].weight]["exp_avg"][0, 0] = value
    with pytest.raises(NumericalError, match="exp_avg holds 1 values"):
        training.save(two_saved)
    training = TinyTraining().run(6)
    training.model[0].weight.data[:2, 0] = value
    with pytest.raises(NumericalError, match=r"0\.weight holds 2 values"):
        training.save(two_saved)
    assert sorted(path.name for path in two_saved.iterdir()) == ["step-2", "step-5"]


def test_opposite_infinities_are_refused_and_huge_values_are_not(tmp_path):
    """A sum stands for all values: infinities must not cancel in it, nor may it overflow."""
    weights = {"huge": torch.full((3,), 3e38)}
    store.save_checkpoint(tmp_path / "vae", 1, weights, None, {})
    assert torch.equal(store.load_latest(tmp_path / "vae").model["huge"], weights["huge"])
    weights = {"pair": torch.tensor([float("inf"), -float("inf"), 0.0])}
    with pytest.raises(NumericalError, match="pair holds 2 values"):
        store.save_checkpoint(tmp_path / "vae", 2, weights, None, {})


def test_what_is_held_stays_while_the_training_goes_on(tmp_path):
    training = TinyTraining().run(2)
    weights = training.model.state_dict()
    weights["tied"] = weights["0.weight"]
    tensors = {"generator": training.generator.get_state()}
    before = training.bits()
    held = new_checkpoint.hold_checkpoint(2, weights, training.optimizer, {}, tensors)
    training.run(3)
    tensors["generator"].zero_()
    held.write(tmp_path)
    found = store.load_latest(tmp_path)
    assert torch.equal(found.model.pop("tied"), found.model["0.weight"])
    assert TinyTraining(seed=7).restore(found).bits() == before


def test_state_must_be_json(tmp_path):
    for state in ({"loss": float("nan")}, {"path": tmp_path}):
        with pytest.raises(InputError, match="is not JSON"):
            store.save_checkpoint(tmp_path / "vae", 1, {}, None, state)
    assert not (tmp_path / "vae").exists()


def test_another_optimizer_is_refused(two_saved):
    checkpoint = store.load_latest(two_saved)
    weights = [torch.zeros(2, requires_grad=True)]
    with pytest.raises(InputError, match="AdamW, which SGD cannot take"):
        checkpoint.restore_optimizer(torch.optim.SGD(weights, lr=1))
    with pytest.raises(InputError, match="size of optimizer's group"):
        checkpoint.restore_optimizer(torch.optim.AdamW(weights))
    with pytest.raises(InputError, match="no optimizer state"):
        store.load_latest(two_saved, model_only=True).restore_optimizer(None)


def test_room_is_looked_at_before_writing(two_saved, monkeypatch):
    usage = shutil.disk_usage(two_saved)._replace(free=1000)
    monkeypatch.setattr(faults.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="free some room") as caught:
        TinyTraining().run(6).save(two_saved)
    assert caught.value.exit_code == 4
    monkeypatch.undo()
    assert sorted(path.name for path in two_saved.iterdir()) == ["step-2", "step-5"]


def test_a_reader_survives_the_retirement_of_what_it_listed(two_saved, monkeypatch):
    load_checkpoint, training = checkpoints.load_checkpoint, TinyTraining().run(6)

    def late(path: Path, **options: object) -> store.Checkpoint:
        if path.name == "step-5":
            training.save(two_saved)
        return load_checkpoint(path, **options)

    monkeypatch.setattr(checkpoints, "load_checkpoint", late)
    checkpoint = store.load_latest(two_saved)
    assert checkpoint.step == 6
    assert checkpoint.notices == []


def test_a_newer_schema_is_refused_with_the_release_needed(tmp_path):
    later = store.Schema(
        name="checkpoint", version=2, needs_release="3.1.4", migrations={1: lambda old: old}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_checkpoint, "SCHEMA", later)
        TinyTraining().run(1).save(tmp_path)
    with pytest.raises(InputError, match=r"schema 2 is newer .* install release 3\.1\.4 or later"):
        store.load_latest(tmp_path)


def test_an_older_schema_is_migrated(tmp_path, monkeypatch):
    TinyTraining().run(1).save(tmp_path)

    def rename(old: dict) -> dict:
        return {**old, "state": {"renamed": old["state"]["step_again"]}}

    later = store.Schema(
        name="checkpoint", version=2, needs_release="0.2.0", migrations={1: rename}
    )
    monkeypatch.setattr(checkpoints, "SCHEMA", later)
    assert store.load_latest(tmp_path).state == {"renamed": 1}


def test_the_stored_checkpoint_of_schema_1_still_loads():
    """Written by release 0.1.0 with `TinyTraining().run(3)`; never to be made again."""
    checkpoint = store.load_checkpoint(Path(__file__).parent / "fixtures" / "schema-1" / "step-3")
    assert checkpoint.state == {"step_again": 3}
    training = TinyTraining(seed=99).restore(checkpoint)
    assert training.step == 3
    assert training.optimizer.param_groups[0]["lr"] == 0.01
    weight = training.model[1].bias.detach()
    torch.testing.assert_close(weight, TinyTraining().run(3).model[1].bias.detach())
