"""Generators of other families that a study trains beside its arms, and where they keep files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.config.generators import GeneratorConfig
from workbench.errors import InputError
from workbench.study.folders import Run, Study, WritingFolders, find_run, find_study


@dataclass(frozen=True)
class GeneratorRun(WritingFolders):
    """One generator under one seed: its folder and settings."""

    study: Study
    generator: str
    seed: int

    @property
    def name(self) -> str:
        """Short name, as in `gpt2/seed-0`."""
        return f"{self.generator}/seed-{self.seed}"

    @property
    def directory(self) -> Path:
        """The generator's folder."""
        return self.study.directory / "generators" / self.generator / f"seed-{self.seed}"

    @cached_property
    def config(self) -> GeneratorConfig:
        """Its settings."""
        return self.study.config.generator(self.generator)

    @property
    def model_dir(self) -> Path:
        """Checkpoints."""
        return self.directory / "model"


def generator_runs(study: Study) -> list[GeneratorRun]:
    """Every generator under every seed, seed by seed."""
    config = study.config
    return [GeneratorRun(study, name, seed) for seed in config.seeds for name in config.generators]


def generator_of(run: Run) -> GeneratorRun | None:
    """The generator of the same study and seed whose own space an imported arm is, if any."""
    about = (run.imported or {}).get("provenance") or {}
    if about.get("study") != run.study.config.name:
        return None
    own = [found for found in generator_runs(run.study) if found.seed == run.seed]
    return next((found for found in own if found.name == about.get("run")), None)


def find_generator(name: str) -> GeneratorRun | None:
    """The generator of `STUDY/GENERATOR`, `STUDY/GENERATOR/SEED` or its folder; None if none."""
    path = Path(name)
    above, last = path.parent.parent, path.name.removeprefix("seed-")
    own = above.parent if above.name == "generators" else above
    for folder, generator, seed in ((path.parent, path.name, ""), (own, path.parent.name, last)):
        try:
            study = find_study(str(folder))
        except InputError:
            continue
        runs = {(run.generator, str(run.seed)): run for run in generator_runs(study)}
        found = runs.get((generator, seed or str(study.config.seeds[0])))
        if found is not None:
            return found
    return None


def find_writer(name: str) -> Run | GeneratorRun:
    """The generator or the run that `name` names.

    Raises:
        InputError: it names neither.
    """
    return find_generator(name) or find_run(name)
