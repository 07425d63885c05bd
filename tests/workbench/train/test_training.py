"""The training loop on the engine's own tasks: it learns, resumes bit for bit, and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from short_training import StopAfter
from training_tasks import (
    PLACE,
    TASKS,
    Poisoned,
    bits,
    build_task,
    checkpoint_bits,
    run_fit,
    small_training,
)

from data.corpus_store import Corpus
from workbench.errors import NumericalError, StopRequested
from workbench.machine.context import stage_fingerprint
from workbench.machine.seeds import step_generator
from workbench.store.checkpoints import list_checkpoints, load_latest, newest_step
from workbench.study.folders import Study
from workbench.train.loop import (
    TrainingConfig,
    build_state,
    learning_rate,
    train_step,
)
from workbench.train.saving import load_finished
from workbench.train.state import build_optimizer


@pytest.mark.parametrize("name", TASKS)
def test_overfits_one_batch(name: str, smoke: Study, corpus: Corpus, tmp_path: Path) -> None:
    task = build_task(name, smoke, corpus, one_batch=True)
    config = small_training(
        num_steps=90, learning_rate=1e-2, warmup_steps=10, weight_decay=0.0, ema_decay=0.0
    )
    losses = [record.metrics["loss"] for record in run_fit(task, config, tmp_path)]
    share = {"vae": 0.5, "language_model": 0.25, "flow": 0.75}[name]
    assert sum(losses[-10:]) < share * sum(losses[:10])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("name", [*TASKS, "mmdit"])
def test_two_and_two_steps_equal_four(
    name: str, optimizer: str, smoke: Study, corpus: Corpus, tmp_path: Path
) -> None:
    config = small_training(optimizer=optimizer)
    run_fit(build_task(name, smoke, corpus), config, tmp_path / "whole")
    with pytest.raises(StopRequested, match="step 2"):
        run_fit(build_task(name, smoke, corpus), config, tmp_path / "parts", stop=StopAfter(2))
    assert newest_step(tmp_path / "parts") == 2
    records = run_fit(build_task(name, smoke, corpus), config, tmp_path / "parts")
    assert [(record.start_step, record.step) for record in records] == [(2, 3), (2, 4)]
    whole, parts = (load_latest(tmp_path / folder) for folder in ("whole", "parts"))
    assert checkpoint_bits(whole) == checkpoint_bits(parts)
    assert whole is not None
    assert any(key.startswith("live.") for key in whole.tensors), "the average leads"
    assert whole.state["inexact"] == []


def test_the_comparison_of_bits_can_fail(smoke: Study, corpus: Corpus, tmp_path: Path) -> None:
    run_fit(build_task("vae", smoke, corpus), small_training(), tmp_path / "a")
    run_fit(build_task("vae", smoke, corpus), small_training(beta1=0.91), tmp_path / "b")
    a, b = load_latest(tmp_path / "a"), load_latest(tmp_path / "b")
    assert checkpoint_bits(a) != checkpoint_bits(b)


def test_other_threads_are_named_when_resuming(
    smoke: Study, corpus: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(StopRequested):
        run_fit(build_task("vae", smoke, corpus), small_training(), tmp_path, stop=StopAfter(2))
    torch.set_num_threads(2)
    records = run_fit(build_task("vae", smoke, corpus), small_training(), tmp_path)
    line = "resumed at step 2 with threads 1 before, 2 now: not bit-equal from there"
    assert records[0].notices == (line,)
    assert records[1].notices == ()
    found = load_latest(tmp_path)
    assert found is not None
    assert found.state["inexact"] == [line]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_is_left_out(value: float, smoke: Study, corpus: Corpus) -> None:
    task = Poisoned(build_task("vae", smoke, corpus), {1}, value)
    config = small_training()
    state, objective = build_state(task, config, PLACE)
    train_step(state, task, objective, config, PLACE)
    before = bits(state.model.state_dict()), bits(state.weights.state_dict())
    train_step(state, task, objective, config, PLACE)
    assert (bits(state.model.state_dict()), bits(state.weights.state_dict())) == before
    assert (state.step, state.skipped) == (2, 1)
    train_step(state, task, objective, config, PLACE)
    assert bits(state.model.state_dict()) != before[0]
    assert state.skipped == 0


def test_steps_that_are_never_finite_end_the_training(
    smoke: Study, corpus: Corpus, tmp_path: Path
) -> None:
    config = small_training(num_steps=8, checkpoint_every=2, max_skipped_steps=1)
    run_fit(build_task("vae", smoke, corpus), small_training(num_steps=2), tmp_path / "good")
    task = Poisoned(build_task("vae", smoke, corpus), set(range(2, 8)))
    with pytest.raises(NumericalError, match=r"vae: loss or gradient not finite for 2 steps"):
        run_fit(task, config, tmp_path / "bad")
    assert NumericalError.exit_code == 5
    (kept,) = list_checkpoints(tmp_path / "bad")
    assert kept.name == "step-2"
    found = load_latest(tmp_path / "bad")
    assert found is not None
    # Both went through the same two steps; the poisoned ones left no trace on disk or in memory.
    live = {k.removeprefix("live."): v for k, v in found.tensors.items() if "live." in k}
    assert bits(live) == bits(task.model.state_dict())


def test_another_configuration_is_refused(smoke: Study, corpus: Corpus, tmp_path: Path) -> None:
    config = small_training(num_steps=2)
    run_fit(build_task("vae", smoke, corpus), config, tmp_path)
    with pytest.raises(ValueError, match=r"another configuration \(print, now other\)"):
        run_fit(build_task("vae", smoke, corpus), config, tmp_path, fingerprint="other")
    with pytest.raises(ValueError, match="another configuration"):
        load_finished(tmp_path, 2, "other")
    assert load_finished(tmp_path, 3, "print") is None
    assert load_finished(tmp_path, 2, "print") is not None


def test_a_damaged_checkpoint_costs_steps_and_says_so(
    smoke: Study, corpus: Corpus, tmp_path: Path
) -> None:
    config = small_training(num_steps=6, checkpoint_every=2, keep_checkpoints=2)
    run_fit(build_task("vae", smoke, corpus), config, tmp_path / "whole")
    with pytest.raises(StopRequested):
        run_fit(build_task("vae", smoke, corpus), config, tmp_path / "hit", stop=StopAfter(5))
    weights = tmp_path / "hit" / "step-5" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    records = run_fit(build_task("vae", smoke, corpus), config, tmp_path / "hit")
    (notice,) = records[0].notices
    assert "step-4 is used instead, 1 steps are lost" in notice
    assert checkpoint_bits(load_latest(tmp_path / "hit")) == checkpoint_bits(
        load_latest(tmp_path / "whole")
    )


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainingConfig(
        num_steps=110, warmup_steps=10, learning_rate=2.0, final_lr_fraction=0.1
    )
    rates = [learning_rate(step, config) for step in range(110)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    assert 0.2 < rates[-1] < 0.202
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(0, TrainingConfig(warmup_steps=0, learning_rate=2.0)) == 2.0


@pytest.mark.parametrize("name", TASKS)
def test_weight_decay_is_for_matrices(name: str, smoke: Study, corpus: Corpus) -> None:
    model = build_task(name, smoke, corpus).model
    decayed, exempt = build_optimizer(model, small_training(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in exempt["params"])
    assert exempt["params"]
    optimised = {id(p) for group in (decayed, exempt) for p in group["params"]}
    assert optimised == {id(p) for p in model.parameters()}


def test_what_changes_no_weight_changes_no_fingerprint() -> None:
    plain = TrainingConfig()
    harmless = TrainingConfig(log_every=3, checkpoint_every=7, keep_checkpoints=2, milestones=4)
    assert harmless.identity == plain.identity
    assert TrainingConfig(learning_rate=2e-3).identity != plain.identity
    assert TrainingConfig(optimizer="muon").identity != plain.identity
    # What trainings of the first release carry; a later setting must not make them train again.
    assert stage_fingerprint(plain.identity) == "5b0b5984b0cd"


def test_noise_depends_on_every_part_of_its_name() -> None:
    def draw(*parts: int | str) -> float:
        return float(torch.rand((), generator=step_generator(torch.device("cpu"), *parts)))

    names = [(0, "vae", 0, 0), (1, "vae", 0, 0), (0, "flow", 0, 0), (0, "vae", 1, 0)]
    names.append((0, "vae", 0, 1))
    assert draw(*names[0]) == draw(*names[0])
    assert len({draw(*name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("learning_rate", 0.0),
        ("ema_decay", 1.0),
        ("precision", "fp8"),
        ("shard", "zero"),
        ("keep_checkpoints", 0),
        ("final_lr_fraction", 1.5),
    ],
)
def test_bad_settings_are_named(field: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: value})  # type: ignore[arg-type]
