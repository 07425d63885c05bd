"""`study.json`: what a study was made with, and which settings may still change under it.

Harmless keys may change at any time, and a training may be given more steps: it goes on from its
last checkpoint. All arms go on alike, since the length is the base's, so twins stay twins; until
every arm has gone on, those that have not are another training and do not pair.
"""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.config.study import StudyConfig, needs_teacher, settings
from workbench.config.training import HARMLESS as HARMLESS_TRAINING
from workbench.config.training import TrainingConfig
from workbench.errors import InputError
from workbench.machine.context import update_json
from workbench.machine.loggers import check_loggers
from workbench.store.checkpoints import list_checkpoints
from workbench.study.folders import STUDY_SCHEMA, Study, open_study

HARMLESS = ("workers", "threads", "loggers", "base.device")
VERSIONED = ("torch", "transformers", "numpy", "scikit-learn", "mauve-text", "tokenizers")
UNSHARED = ("corpus", "seed", "sampling", "evaluation", "device")
TRAININGS = ("vae_training", "flow_training", "language_model_training")
LENGTHS = ("num_steps", "earlier_num_steps")


def create_study(config: StudyConfig, directory: Path, **about: Any) -> Study:
    """Write `study.json`, or check that the study there has the same configuration.

    A study that has not even a corpus yet may still change its mind; any may be given more steps.

    Args:
        config: base, arms, seeds.
        directory: the study's folder.
        about: further JSON values for a new `study.json`.

    Raises:
        InputError: arms do not pair, a logger cannot be had, or a study of another configuration
            is there; the differences are listed.
    """
    refuse_unpaired(config)
    check_loggers(config.loggers)
    file = directory / "study.json"
    if file.is_file():
        stored = open_study(directory)
        config = with_more_steps(stored, config)
        found = settings.differences(stored.config, config)
        grown = _grown(stored.config, config)
        changed = [row for row in found if not _may_change(row.key, grown)]
        if stored.corpus_dir.exists():
            _refuse_changes(file, changed)
            _refuse_lost_work(stored, grown)
        if not found:
            return Study(directory, config)
    description = {
        "config": settings.to_dict(config),
        "fingerprint": settings.fingerprint(config),
        "versions": {name: version(name) for name in VERSIONED},
        "python": platform.python_version(),
        **about,
    }
    update_json(file, STUDY_SCHEMA.stamp(description))
    return Study(directory, config)


def with_more_steps(stored: Study, config: StudyConfig) -> StudyConfig:
    """`config` as it stands for the study there: a training that is to be longer goes on.

    A larger `num_steps` of a training that has begun notes the earlier length in
    `earlier_num_steps`; the same number asked for again means the training that went on. A length
    that an arm sets for itself is left alone.
    """
    base = config.base
    for name in TRAININGS:
        known, wanted = getattr(stored.config.base, name), getattr(base, name)
        if wanted.earlier_num_steps or _set_by_an_arm(config, name):
            continue
        if wanted.num_steps == known.num_steps:
            wanted = dataclasses.replace(wanted, earlier_num_steps=known.earlier_num_steps)
        elif wanted.num_steps > known.num_steps and _has_begun(stored, name):
            wanted = _continued(known, wanted)
        base = dataclasses.replace(base, **{name: wanted})
    return dataclasses.replace(config, base=base)


def refuse_unpaired(config: StudyConfig) -> None:
    """Arms share corpus, seed and evaluation; an arm that changes these has no twin.

    Raises:
        InputError: naming the arm and its override.
    """
    for arm, overrides in config.arms.items():
        for key in overrides:
            if key.split(".")[0] in UNSHARED:
                raise InputError(
                    f"arm {arm!r} overrides {key}: arms of one study share corpus, seed, sampling "
                    "and evaluation, or nothing could be compared; make it a study of its own"
                )


def _continued(known: TrainingConfig, wanted: TrainingConfig) -> TrainingConfig:
    earlier = (*known.earlier_num_steps, known.num_steps)
    return dataclasses.replace(wanted, earlier_num_steps=earlier)


def _set_by_an_arm(config: StudyConfig, training: str) -> bool:
    keys = {f"{training}.{name}" for name in LENGTHS}
    return any(keys & set(overrides) for overrides in config.arms.values())


def _has_begun(study: Study, training: str) -> bool:
    """Whether any run, or the judge, has a checkpoint of this training."""
    folders = {
        "vae_training": [run.vae_dir for run in study.runs],
        "flow_training": [run.flow_dir for run in study.runs],
        "language_model_training": [study.language_model_dir],
    }
    return any(list_checkpoints(folder) for folder in folders[training])


def _grown(stored: StudyConfig, config: StudyConfig) -> list[str]:
    """Trainings of the base that only become longer."""
    return [
        name
        for name in TRAININGS
        if not _set_by_an_arm(config, name)
        and getattr(config.base, name).num_steps > getattr(stored.base, name).num_steps
    ]


def _may_change(key: str, grown: list[str]) -> bool:
    """Whether a setting changes nothing that is computed, or lets a training go on."""
    parts = key.split(".")
    longer = parts[0] == "base" and parts[1] in grown and parts[-1] in LENGTHS
    return longer or key in HARMLESS or parts[-1] in HARMLESS_TRAINING


def _refuse_changes(file: Path, changed: list[settings.Difference]) -> None:
    if changed:
        table = "; ".join(f"{row.key}: {row.left} -> {row.right}" for row in changed)
        raise InputError(
            f"{file}: the study was made with other settings ({table}); use --out, or --fork to "
            "keep what still fits"
        )


def _refuse_lost_work(study: Study, grown: list[str]) -> None:
    """More steps of a model that others were trained on would throw these away.

    Raises:
        InputError: naming the training, and what stands on it.
    """
    own = [r for r in study.runs if needs_teacher(r.config) and r.config.teacher.name == "own"]
    standing = {
        "vae_training": [run.flow_dir for run in study.runs],
        "language_model_training": [run.vae_dir for run in own],
    }
    for name in grown:
        for folder in standing.get(name, ()):
            if list_checkpoints(folder):
                raise InputError(
                    f"base.{name}.num_steps: {folder} was trained on what this would change; use "
                    "--fork, which goes on in a new study and leaves this one as it is"
                )
