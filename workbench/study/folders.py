"""Where a study and its runs keep their files, and how to find a study or run by name."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.configs.teacher import is_untrained
from workbench.config import settings
from workbench.errors import DamagedArtefactError, InputError
from workbench.store.json_files import read_json
from workbench.store.manifest import MANIFEST
from workbench.store.paths import runs_directory
from workbench.store.schema import Schema

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.configs.teacher import TeacherConfig
    from workbench.config.run import RunConfig
    from workbench.config.study import StudyConfig


def _with_former_initial_values(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 drew the judge's embeddings with std 1; such a study keeps that setting."""
    # Incomplete or edited by hand: building the configuration reports where.
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        document["config"]["base"].setdefault("language_model", {}).setdefault("init_std", 1.0)
    return document


STUDY_SCHEMA = Schema(
    name="study",
    version=2,
    needs_release="0.2.0",
    migrations={0: dict, 1: _with_former_initial_values},
)

# The part of its bundle that an imported arm keeps with its latents.
BUNDLE = "bundle.json"


@dataclass(frozen=True)
class Study:
    """A study's folder: its configuration and the files that its runs share."""

    directory: Path
    config: StudyConfig

    @property
    def corpus_dir(self) -> Path:
        """Tokens, labels, facts, splits."""
        return self.directory / "corpus"

    @property
    def language_model_dir(self) -> Path:
        """The judging causal language model."""
        return self.directory / "language_model"

    @property
    def references_dir(self) -> Path:
        """Prompts, human continuations, their embeddings, floors and ceilings."""
        return self.directory / "references"

    @property
    def baselines_dir(self) -> Path:
        """Scores of human controls and of the autoregressive baseline."""
        return self.directory / "baselines"

    @cached_property
    def corpus(self) -> Corpus:
        """The study's corpus, memory-mapped; opened when first asked for."""
        from data.corpus_store import open_corpus

        return open_corpus(self.corpus_dir)

    def teacher_dir(self, config: RunConfig) -> Path:
        """Hidden states of one teacher at one layer, shared by the arms that use it.

        Studies from before the key had a hash keep their folder if it holds this teacher.
        """
        folder = self.directory / "teacher" / teacher_key(config.teacher)
        former = folder.with_name(_readable_key(config.teacher))
        return folder if folder.exists() or not _holds(former, config.teacher) else former

    def run(self, arm: str, seed: int) -> Run:
        """The run of one arm under one seed."""
        return Run(self, arm, seed)

    @cached_property
    def run_configs(self) -> dict[tuple[str, int], RunConfig]:
        """Configurations by arm and seed, as they were asked for: building one takes a while."""
        return {}

    @property
    def runs(self) -> list[Run]:
        """Every run, seed by seed, so that a study cut short still has whole pairs."""
        return [self.run(arm, seed) for seed in self.config.seeds for arm in self.config.arms]

    @property
    def imported(self) -> list[Run]:
        """Arms imported from latent bundles, sorted by name; they train nothing."""
        files = sorted((self.directory / "arms").glob(f"*/seed-*/latents/{BUNDLE}"))
        return [Run(self, f.parents[2].name, int(f.parents[1].name[5:])) for f in files]

    @property
    def all_arms(self) -> list[str]:
        """Arms of the configuration, then the imported ones."""
        return [*self.config.arms, *dict.fromkeys(run.arm for run in self.imported)]

    @property
    def named_runs(self) -> dict[str, Run]:
        """Every run by its name, the imported ones last."""
        return {run.name: run for run in (*self.runs, *self.imported)}


class WritingFolders(ABC):
    """Where an arm, or a generator beside the arms, keeps what it wrote and its scores."""

    @property
    @abstractmethod
    def directory(self) -> Path:
        """The folder of one arm or generator under one seed."""

    @property
    def samples_dir(self) -> Path:
        """Generated continuations."""
        return self.directory / "samples"

    @property
    def trajectories_dir(self) -> Path:
        """Every step of the first continuations."""
        return self.directory / "trajectories"

    @property
    def scores_dir(self) -> Path:
        """Scores per prompt, and features of the continuations."""
        return self.directory / "scores"

    @property
    def evaluation_file(self) -> Path:
        """Scores of the continuations."""
        return self.directory / "evaluation.json"


@dataclass(frozen=True)
class Run(WritingFolders):
    """One arm under one seed: its folder and configuration."""

    study: Study
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Short name, as in `repa/seed-0`."""
        return f"{self.arm}/seed-{self.seed}"

    @property
    def title(self) -> str:
        """The arm's name, marked where its models are not ours."""
        return self.arm if self.imported is None else f"{self.arm}, from outside"

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self.study.directory / "arms" / self.arm / f"seed-{self.seed}"

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration: the study's base with the arm's overrides."""
        if self.imported is not None:
            return self._imported_config(self.imported)
        known = self.study.run_configs
        if (self.arm, self.seed) not in known:
            known[self.arm, self.seed] = self.study.config.run(self.arm, self.seed)
        return known[self.arm, self.seed]

    @cached_property
    def imported(self) -> dict[str, Any] | None:
        """The description of the bundle that this run came from; None for a trained run."""
        if self.arm in self.study.config.arms:
            return None
        file = self.latents_dir / BUNDLE
        return read_json(file) if file.is_file() else None

    def _imported_config(self, bundle: dict[str, Any]) -> RunConfig:
        base = self.study.config.base
        flow = settings.build(type(base.flow), bundle["flow"]) if bundle.get("flow") else base.flow
        # One channel cannot be normalised per token; whether the model does so is not known.
        norm = "none" if bundle["width"] == 1 else base.vae.mu_norm
        vae = replace(base.vae, latent_width=bundle["width"], mu_norm=norm)
        # A bundle holds latents, no teacher's states and no flow of ours: nothing is aligned here,
        # guided from within or generated beside them.
        flow = replace(flow, repa_weight=0.0, internal_weight=0.0, reg_weight=0.0)
        dit = replace(base.dit, repa_depth=None, internal_depth=None)
        sampling = replace(base.sampling, internal_scale=1.0)
        return replace(base, seed=self.seed, flow=flow, vae=vae, dit=dit, sampling=sampling)

    @property
    def vae_dir(self) -> Path:
        """VAE checkpoints."""
        return self.directory / "vae"

    @property
    def flow_dir(self) -> Path:
        """Flow checkpoints."""
        return self.directory / "flow"

    @property
    def bundle_dir(self) -> Path:
        """The bundle that an adapter made of this arm."""
        first = self.seed == self.study.config.seeds[0]
        return self.study.directory / "bundles" / (self.arm if first else f"{self.arm}-{self.seed}")

    @property
    def latents_dir(self) -> Path:
        """Cached posteriors."""
        return self.directory / "latents"

    @property
    def probes_dir(self) -> Path:
        """Probe results."""
        return self.directory / "probes"

    @property
    def over_training_dir(self) -> Path:
        """Probe results at each milestone of training."""
        return self.directory / "over_training"

    def published(self) -> dict[str, Path]:
        """Finished folders of the run's stages: name -> the folder, or its newest checkpoint."""
        found: dict[str, Path] = {}
        for manifest in sorted(self.directory.glob(f"*/{MANIFEST}")):
            found[manifest.parent.name] = manifest.parent
        for manifest in self.directory.glob(f"*/step-*/{MANIFEST}"):
            stage, newest = manifest.parents[1].name, found.get(manifest.parents[1].name)
            if newest is None or step_of(manifest.parent) > step_of(newest):
                found[stage] = manifest.parent
        return found

    def describe(self) -> dict[str, Any]:
        """What `run.json` holds."""
        path = self.directory / "run.json"
        return read_json(path) if path.is_file() else {}


def teacher_key(config: TeacherConfig) -> str:
    """Folder name of a teacher's states: a readable part, and a hash unique to the teacher."""
    seed = config.seed if config.name == "random" else None
    identity = {"name": config.name, "layer": config.layer, "seed": seed}
    return f"{_readable_key(config)}-{settings.fingerprint(identity)}"


def _readable_key(config: TeacherConfig) -> str:
    """Name and layer, and the seed if it is random; two different paths can share it."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in config.name)
    seed = f"-seed{config.seed}" if is_untrained(config.name) else ""
    return f"{plain}-layer{config.layer}{seed}"


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's folder name."""
    return int(checkpoint.name.rpartition("-")[2])


def _holds(folder: Path, config: TeacherConfig) -> bool:
    """Whether a folder reports that its states are this teacher's, at this layer."""
    if not (folder / "report.json").is_file():
        return False
    report = read_json(folder / "report.json")
    return (report.get("teacher"), report.get("layer")) == (config.name, config.layer)


def open_study(directory: Path) -> Study:
    """Open a study by its folder.

    Raises:
        DamagedArtefactError: its configuration cannot be read.
        InputError: there is no study there, or a newer release wrote it.
    """
    from workbench.config.study import StudyConfig

    file = directory / "study.json"
    if not file.is_file():
        raise InputError(f"{directory}: no study here (study.json is missing)")
    # Studies from before versions were stored are version 0.
    document = STUDY_SCHEMA.migrate({"schema": 0, **read_json(file)}, str(file))
    if "config" not in document:
        raise DamagedArtefactError(f"{file}: damaged, it holds no configuration")
    return Study(directory, settings.build(StudyConfig, document["config"]))


def find_study(name: str) -> Study:
    """Open a study by its path, or by its name in the runs directory."""
    path = Path(os.path.expanduser(name))
    return open_study(path if (path / "study.json").is_file() else runs_directory() / name)


def find_run(name: str) -> Run:
    """Open a run by path (`.../arms/repa/seed-0`) or short name (`demo/repa/0`).

    Raises:
        InputError: there is no such run; the message lists the runs that exist.
    """
    parts = Path(name).parts
    for depth, part in enumerate(parts):
        if part == "arms" and depth > 0 and len(parts) == depth + 3:
            study = find_study(str(Path(*parts[:depth])))
            return _pick(study, parts[depth + 1], parts[depth + 2])
    if len(parts) >= 3:
        return _pick(find_study(str(Path(*parts[:-2]))), parts[-2], parts[-1])
    if len(parts) == 2:
        study = find_study(parts[0])
        return _pick(study, parts[1], str(study.config.seeds[0]))
    raise InputError(f"{name!r} names no run; write STUDY/ARM/SEED, for example demo/repa/0")


def _pick(study: Study, arm: str, seed: str) -> Run:
    names = study.named_runs
    wanted = f"{arm}/{seed if seed.startswith('seed-') else 'seed-' + seed}"
    if wanted not in names:
        raise InputError(f"{study.directory}: no run {wanted}; it has {', '.join(names)}")
    return names[wanted]
