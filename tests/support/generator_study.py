"""The smoke study with one toy generator of every family beside its arms."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from models.generators.families import FAMILIES
from workbench.config.study import StudyConfig
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.run_study import conclude, finish_generator
from workbench.study.folders import Study
from workbench.study.generators import generator_runs
from workbench.study.record import create_study

TRAINING = {"num_steps": 8, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 4}
NETWORK = {"width": 32, "layers": 1, "heads": 2}
SAMPLING: dict[str, dict[str, Any]] = {
    "llada": {"num_steps": 6, "guidance_scale": 1.5},
    "block-diffusion": {"num_steps": 2},
    "ssd-lm": {"num_steps": 2},
    "diffusion-lm": {"num_steps": 5},
}
BLOCKS = {"block-diffusion": {"block_size": 16}, "ssd-lm": {"block_size": 16}}
GENERATORS = {
    name: {
        "family": name,
        "network": {**NETWORK, **BLOCKS.get(name, {})},
        "training": {**TRAINING, "ema_decay": 0.9},
        "sampling": SAMPLING.get(name, {}),
    }
    for name in FAMILIES
}


def with_generators(config: StudyConfig) -> StudyConfig:
    return dataclasses.replace(config, generators=GENERATORS)


def add_generators(study: Study, folder: Path) -> None:
    """Copy a finished study to `folder`, and add the generators to the copy."""
    shutil.copytree(study.directory, folder, ignore=shutil.ignore_patterns(".lock"))
    added = create_study(with_generators(study.config), folder)
    context = StageContext(find_placement("cpu"))
    for run in generator_runs(added):
        finish_generator(folder, run.generator, run.seed, context)
    conclude(added, context)
