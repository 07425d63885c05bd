"""A VAE of a few weights on a few stories: real training in a fraction of a second."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data.corpora import CorpusConfig
from data.corpus_store import Corpus, open_corpus
from models.configs.vae import TextVAEConfig
from workbench.config.run import RunConfig
from workbench.config.study import StudyConfig
from workbench.config.training import TrainingConfig
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.machine.stopping import StopSignal
from workbench.store.checkpoints import Checkpoint
from workbench.study.corpus import prepare_corpus
from workbench.study.folders import Run, Study
from workbench.study.record import create_study
from workbench.train.vae import train_vae

NUM_STEPS = 8


class StopAfter(StopSignal):
    """Asks to stop once it was looked at `steps` times, which training does once a step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left <= 0


def short_config(**training: Any) -> StudyConfig:
    """One arm without a teacher; an average of the weights, so that both are stored."""
    known = {"num_steps": NUM_STEPS, "batch_size": 4, "warmup_steps": 2, "ema_decay": 0.9}
    saving = {"checkpoint_every": 2, "keep_checkpoints": 2, "log_every": 2}
    base = RunConfig(
        corpus=CorpusConfig(num_documents=40, window=56, vocabulary="bpe", vocabulary_size=300),
        vae=TextVAEConfig(width=8, encoder_layers=1, decoder_layers=1, heads=2, latent_width=4),
        vae_training=TrainingConfig(**{**known, **saving, **training}),
    )
    return StudyConfig(name="short", base=base, arms={"none": {"vae_loss.repa_weight": 0.0}})


def context(stop: StopSignal | None = None, **options: Any) -> StageContext:
    torch.set_num_threads(1)
    return StageContext(find_placement("cpu"), stop=stop or StopSignal(), **options)


@functools.cache
def _prepared() -> Path:
    """A study's folder with its corpus; made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="short-study-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare_corpus(create_study(short_config(), folder), context())
    return folder


def corpus() -> Corpus:
    return open_corpus(_prepared() / "corpus")


def new_run(folder: Path, **training: Any) -> Run:
    """A run in a study of its own under `folder`, which shares nothing but a copied corpus."""
    if not (folder / "corpus").exists():
        shutil.copytree(_prepared() / "corpus", folder / "corpus")
    return Study(folder, short_config(**training)).run("none", 0)


def train(run: Run, stop: StopSignal | None = None, **options: Any) -> None:
    train_vae(run, context(stop, **options))


def with_training(run: Run, **changes: Any) -> Run:
    """The same folder under other training settings."""
    base = run.study.config.base
    training = dataclasses.replace(base.vae_training, **changes)
    base = dataclasses.replace(base, vae_training=training)
    return Study(run.study.directory, dataclasses.replace(run.study.config, base=base)).run(
        run.arm, run.seed
    )


def bits(value: Any) -> Any:
    """A nest of tensors and plain values, comparable by `==` bit for bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return value


def future(checkpoint: Checkpoint) -> dict[str, Any]:
    """All of a checkpoint that decides what comes after it."""
    parts = ("step", "model", "tensors", "optimizer")
    return {part: bits(getattr(checkpoint, part)) for part in parts}
