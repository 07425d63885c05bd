"""Memory, disk and log devices that give out: exit 4 and what to lower, or a note, and no harm."""

import os
import resource
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_training import NUM_STEPS, StopAfter, context, corpus, future, new_run, train

from workbench.errors import ResourceError, StopRequested, exit_code
from workbench.machine import loggers
from workbench.pipeline.run_study import run_loggers
from workbench.store.checkpoints import list_checkpoints, load_latest
from workbench.train import vae as train_vae
from workbench.train.latents import encode_latents, latents_bytes
from workbench.train.loop import build_state
from workbench.train.state import checkpoint_bytes
from workbench.train.vae import VAETask, load_vae

MEGABYTE = 1 << 20
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Watcher:
    """Keeps the notes of a stage."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """Not of interest."""

    def note(self, text: str) -> None:
        self.notes.append(text)


def error_of_child(action: Callable[[], object], answer: Path) -> tuple[int, str]:
    """Exit code and message of the error that ends `action` in a fork; 0 where none does."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            action()
        except BaseException as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            code = exit_code(error)
            answer.write_text(str(error))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, answer.read_text() if answer.is_file() else ""


def hidden(folder: Path) -> list[Path]:
    """Temporaries that somebody left below `folder`."""
    return [path for path in folder.rglob(".*") if path.name not in (".lock",)]


@needs_fork
def test_a_batch_beyond_memory_names_what_to_lower(tmp_path):
    run = new_run(tmp_path / "study", batch_size=60_000)

    def train_in_little_memory() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 300 * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        train(run)

    code, message = error_of_child(train_in_little_memory, tmp_path / "error")
    assert (code, message) == (
        4,
        "out of memory: vae: lower batch_size (now 60000), window or width",
    )
    assert list_checkpoints(run.vae_dir) == []
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 4),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 4),
        (OSError(12, os.strerror(12)), 4),
        (MemoryError(), 4),
        (np._core._exceptions._ArrayMemoryError((9, 9), np.dtype("f8")), 4),
        (RuntimeError("shapes do not match"), 1),
    ],
)
def test_memory_anywhere_else_ends_with_four_too(error, code):
    assert exit_code(error) == code


def test_room_for_a_checkpoint_is_looked_at_before_the_first_step(tmp_path, monkeypatch):
    run = new_run(tmp_path)
    steps: list[int] = []
    loss = VAETask.loss

    def counted(task: VAETask, objective: torch.nn.Module, step: int) -> Any:
        steps.append(step)
        return loss(task, objective, step)

    monkeypatch.setattr(VAETask, "loss", counted)
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=1000))
    with pytest.raises(ResourceError, match=r"vae: needs .* GB are free; free some room"):
        train(run)
    assert (steps, list_checkpoints(run.vae_dir)) == ([], [])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    train(run)
    assert steps == list(range(NUM_STEPS))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_room_asked_for_is_what_a_checkpoint_takes(tmp_path, ema_decay):
    run = new_run(tmp_path, ema_decay=ema_decay)
    vae = train_vae.build_vae(
        train_vae.vae_config(run.config, corpus(), run.config.vae.projector_width),
        0,
        context().place,
    )
    task: Any = type("Built", (), {"name": "vae", "model": vae, "objective": vae})
    state, _ = build_state(task, run.config.vae_training, context().place)
    train(run)
    stored = sum(p.stat().st_size for p in list_checkpoints(run.vae_dir)[-1].glob("*.safetensors"))
    # Without alignment the projector gets no gradient, and AdamW keeps nothing for it.
    without = 2 * sum(p.numel() * p.element_size() for p in vae.projector.parameters())
    headers = 40_000
    expected = checkpoint_bytes(state) - without
    assert expected < stored < expected + headers


def test_room_for_latents_is_looked_at_before_they_are_encoded(tmp_path, monkeypatch):
    run = new_run(tmp_path)
    train(run)
    vae = load_vae(run, context().place)
    encode_latents(run, vae, context())
    stored = sum(p.stat().st_size for p in run.latents_dir.glob("*-[ms]*.npy"))
    needed = latents_bytes(corpus(), run.config.context, vae.config.latent_width)
    assert needed < stored < needed + 6 * 200
    shutil.rmtree(run.latents_dir)
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=needed - 1))
    monkeypatch.delattr(type(vae), "encode")
    with pytest.raises(ResourceError, match="latents: needs"):
        encode_latents(run, vae, context())


@needs_fork
def test_a_disk_that_fills_up_costs_no_checkpoint(tmp_path):
    run = new_run(tmp_path / "study")
    with pytest.raises(StopRequested):
        train(run, StopAfter(3))
    before = load_latest(run.vae_dir)
    assert before is not None
    size = (before.path / "optimizer.safetensors").stat().st_size

    def train_on_a_full_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
        train(run)

    code, message = error_of_child(train_on_a_full_disk, tmp_path / "error")
    assert code == 4, message
    assert "step-4: no room to write (File too large)" in message
    after = load_latest(run.vae_dir)
    assert after is not None
    assert future(after) == future(before)
    assert hidden(tmp_path) == []
    train(run)
    finished = load_latest(run.vae_dir)
    assert finished is not None
    assert finished.step == NUM_STEPS


class FullDevice:
    """A logger on `/dev/full`."""

    def __init__(self, directory: Path, project: str, config: Mapping[str, Any]) -> None:
        self._file = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        self._file.write(f"{stage} {step}\n")

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        self._file.write(f"{text}\n")

    def close(self) -> None:
        self._file.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("in_the_way", [False, True], ids=["full", "cannot open"])
def test_a_logger_that_fails_is_named_once_and_training_goes_on(in_the_way, tmp_path, monkeypatch):
    run = new_run(tmp_path)
    if in_the_way:
        run.directory.mkdir(parents=True)
        (run.directory / "tensorboard").write_text("a file where a directory belongs")
    else:
        monkeypatch.setattr(loggers, "LOGGERS", {"tensorboard": FullDevice})
    watcher = Watcher()
    with run_loggers(run, context(reporter=watcher)) as logged:
        train_vae.train_vae(run, logged)
    (note,) = [note for note in watcher.notes if note.startswith("logger tensorboard: ")]
    assert note.endswith("it is left out from here, training goes on")
    finished = load_latest(run.vae_dir)
    assert finished is not None
    assert finished.step == NUM_STEPS
