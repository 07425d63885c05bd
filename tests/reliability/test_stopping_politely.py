"""A real SIGTERM saves and says 75; a second one ends at once; bad steps are left out, then 5."""

import os
import signal
import time
from typing import Any

import pytest
import torch
from short_training import (
    NUM_STEPS,
    StopAfter,
    context,
    corpus,
    future,
    new_run,
    train,
    with_training,
)

from workbench.errors import NumericalError, StopRequested
from workbench.machine.stopping import StopSignal
from workbench.store.checkpoints import list_checkpoints, load_checkpoint, load_latest
from workbench.store.metrics_log import read_metrics
from workbench.train.vae import VAETask, build_vae, teacher_width, vae_config

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
MANY = 20_000


@needs_fork
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_step_it_falls_into(number, tmp_path):
    run = new_run(tmp_path, num_steps=MANY, checkpoint_every=MANY)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(run, StopSignal().listen())
        except StopRequested as stop:
            code = stop.exit_code
        finally:
            os._exit(code)
    log = run.directory / "metrics.jsonl"
    while not log.is_file() or log.stat().st_size == 0:
        time.sleep(0.005)
    asked = time.monotonic()
    os.kill(child, number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 75
    assert time.monotonic() - asked < 20
    found = load_latest(run.vae_dir)
    assert found is not None
    assert 0 < found.step < MANY


@needs_fork
def test_a_second_signal_ends_at_once():
    ready, listening = os.pipe()
    child = os.fork()
    if child == 0:
        stop = StopSignal().listen()
        os.write(listening, b"1")
        while not stop.requested:
            time.sleep(0.005)
        os.write(listening, b"2")
        time.sleep(60)
        os._exit(0)
    for _ in range(2):
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM


def poison(monkeypatch: pytest.MonkeyPatch, steps: range) -> None:
    """The loss is NaN at these steps."""
    loss = VAETask.loss

    def poisoned(task: VAETask, objective: torch.nn.Module, step: int) -> Any:
        metrics, num_tokens = loss(task, objective, step)
        if step in steps:
            metrics = {**metrics, "loss": metrics["loss"] * torch.nan}
        return metrics, num_tokens

    monkeypatch.setattr(VAETask, "loss", poisoned)


def test_bad_steps_are_left_out(tmp_path, monkeypatch):
    """A training whose steps are all bad keeps the weights it began with."""
    run = new_run(tmp_path, ema_decay=0.0)
    poison(monkeypatch, range(NUM_STEPS))
    train(run)
    found = load_latest(run.vae_dir)
    assert found is not None
    sizes = vae_config(run.config, corpus(), teacher_width(run.study, run.config))
    fresh = build_vae(sizes, run.config.seed, context().place).state_dict()
    normalisation = {"latent_mean", "latent_std"}
    assert set(fresh) == set(found.model)
    for name in set(fresh) - normalisation:
        assert torch.equal(fresh[name], found.model[name]), name


def test_too_many_bad_steps_end_with_the_last_good_checkpoint(tmp_path, monkeypatch):
    whole, run = new_run(tmp_path / "whole"), new_run(tmp_path / "bad", max_skipped_steps=1)
    train(with_training(whole, checkpoint_every=4))
    poison(monkeypatch, range(4, NUM_STEPS))
    with pytest.raises(NumericalError, match="not finite for 2 steps in a row") as caught:
        train(run)
    assert caught.value.exit_code == 5
    found, expected = load_latest(run.vae_dir), load_checkpoint(whole.vae_dir / "step-4")
    assert found is not None
    assert found.step == 4
    assert future(found) == future(expected)


@pytest.mark.parametrize("name", ["README.md", "model.safetensors", "optimizer.safetensors"])
def test_steps_that_are_done_again_are_logged_once(tmp_path, name):
    run = new_run(tmp_path, log_every=1)
    with pytest.raises(StopRequested):
        train(run, stop=StopAfter(6))
    file = list_checkpoints(run.vae_dir)[-1] / name
    content = file.read_bytes()
    file.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    train(run)
    steps = [row["step"] for row in read_metrics(run.directory / "metrics.jsonl")]
    assert steps == list(range(1, NUM_STEPS + 1))
