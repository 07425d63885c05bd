"""The benchmarks' workload: the demo study's models on a few of its stories, prepared once.

The engine writes corpus, teacher states and latents into a temporary directory. Each benchmark
opens them in its own process. What the peers lack is left out of the demo's recipe: token shift,
the second head, and Muon.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from data.batches import BatchConfig, BatchPlan
from models.dit import TextDiT
from models.text_vae import TextVAE
from workbench.config import settings
from workbench.config.presets.on_two_cores import demo
from workbench.machine.context import StageContext
from workbench.machine.devices import Placement, find_placement
from workbench.store.json_files import write_json
from workbench.study.corpus import prepare_corpus
from workbench.study.folders import Study, open_study
from workbench.train.flow import build_dit
from workbench.train.latents import encode_latents, open_latents
from workbench.train.teacher_states import TeacherStates, prepare_teacher
from workbench.train.vae import build_vae, teacher_width, vae_config

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.config.run import RunConfig
    from workbench.config.training import TrainingConfig
    from workbench.study.folders import Run
    from workbench.train.latents import Latents

FULL_DOCUMENTS, QUICK_DOCUMENTS = 1000, 300


@contextmanager
def prepared(quick: bool) -> Iterator[Path]:
    """A study in a temporary directory: corpus, teacher states, latents of an untrained VAE."""
    base = plain(demo().base)
    size = QUICK_DOCUMENTS if quick else FULL_DOCUMENTS
    corpus_config = dataclasses.replace(base.corpus, num_documents=size)
    config = dataclasses.replace(
        demo(), name="benchmark", base=dataclasses.replace(base, corpus=corpus_config)
    )
    with TemporaryDirectory(prefix="benchmark-") as name:
        study = Study(Path(name) / "benchmark", config)
        study.directory.mkdir()
        write_json(study.directory / "study.json", {"config": settings.to_dict(config)})
        context = StageContext(find_placement("cpu"))
        corpus = prepare_corpus(study, context)
        run = study.run("repa", 0)
        prepare_teacher(study, run.config, context)
        vae = _vae(run, corpus, context.place).eval()
        encode_latents(run, vae, context)
        yield study.directory


def plain(base: RunConfig) -> RunConfig:
    """A recipe whose flow a plain peer can train too."""
    flow_training = dataclasses.replace(
        base.flow_training, optimizer="adamw", learning_rate=base.vae_training.learning_rate
    )
    return dataclasses.replace(
        base,
        dit=dataclasses.replace(base.dit, token_shift=False, internal_depth=None),
        flow=dataclasses.replace(base.flow, internal_weight=0.0),
        flow_training=flow_training,
        sampling=dataclasses.replace(base.sampling, internal_scale=1.0),
    )


@dataclass(frozen=True)
class Workload:
    """A prepared study, opened.

    Attributes:
        run: the arm that is trained.
        corpus: its texts.
        place: the CPU.
    """

    run: Run
    corpus: Corpus
    place: Placement

    @property
    def config(self) -> RunConfig:
        """The arm's configuration."""
        return self.run.config

    def vae(self) -> TextVAE:
        """An untrained VAE, the same at every call."""
        return _vae(self.run, self.corpus, self.place)

    def dit(self) -> TextDiT:
        """An untrained DiT, the same at every call."""
        return build_dit(self.run, self.place)

    def plan(self, training: TrainingConfig) -> BatchPlan:
        """Batches of whole windows."""
        lengths = self.corpus.split("train").lengths
        batches = BatchConfig(batch_size=training.batch_size)
        return BatchPlan(lengths, self.corpus.window, batches, self.config.seed)

    def teacher(self) -> TeacherStates:
        """Cached teacher states of the training texts."""
        directory, split = self.run.study.teacher_dir(self.config), self.corpus.split("train")
        return TeacherStates(directory, "train", split, self.config.teacher)

    def latents(self) -> Latents:
        """Cached posteriors of the training texts."""
        return open_latents(self.run.study.run("repa", 0).latents_dir, "train")


def open_workload(directory: Path, arm: str = "none") -> Workload:
    """Open the study that `prepared` wrote, as its arm `none` or `repa`."""
    study = open_study(directory)
    run = study.run(arm, 0)
    place = find_placement("cpu")
    return Workload(run, prepare_corpus(study, StageContext(place)), place)


def _vae(run: Run, corpus: Corpus, place: Placement) -> TextVAE:
    width = teacher_width(run.study, run.config)
    return build_vae(vae_config(run.config, corpus, width), run.seed, place)
