"""`study.json`: the settings of a study, and which of them may still change.

Settings that do not affect results may change at any time. A training may also be given more
steps: it continues from its last checkpoint. The length belongs to the base, so all arms are
extended alike and twins stay twins. Until every arm has caught up, the shorter ones do not pair.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.config import settings
from workbench.config.places import settled
from workbench.config.run import needs_teacher
from workbench.config.study import StudyConfig
from workbench.config.training import HARMLESS as HARMLESS_TRAINING
from workbench.config.training import TrainingConfig
from workbench.errors import InputError
from workbench.machine.context import update_json
from workbench.machine.loggers import check_loggers
from workbench.store.checkpoints import list_checkpoints
from workbench.study.folders import STUDY_SCHEMA, Study, open_study

HARMLESS = ("workers", "threads", "loggers", "base.device")
VERSIONED = ("torch", "transformers", "numpy", "scikit-learn", "mauve-text", "tokenizers")
UNSHARED = ("corpus", "seed", "sampling", "evaluation", "outside", "device")
TRAININGS = ("vae_training", "flow_training", "language_model_training")
LENGTHS = ("num_steps", "earlier_num_steps")


def create_study(config: StudyConfig, directory: Path, **about: Any) -> Study:
    """Write `study.json`, or check that the study there has the same configuration.

    Before anything is trained any setting may change, so a failed first try does not block the
    next. Later only harmless settings and more steps are allowed.

    Args:
        config: base, arms, seeds.
        directory: the study's folder.
        about: more JSON values for a new `study.json`.

    Raises:
        InputError: the arms do not pair, a logger is not installed, or the folder holds a study
            with other settings; the message lists the differences.
        ValueError: a model that the study asks for is not installed.
    """
    refuse_unpaired(config)
    check_loggers(config.loggers)
    check_outside(config)
    file = directory / "study.json"
    if file.is_file():
        stored = open_study(directory)
        config = with_more_steps(stored, settled(config, stored.config))
        found = settings.differences(stored.config, config)
        grown = _grown(stored.config, config)
        changed = [
            row
            for row in found
            if not _may_change(row.key, grown) and not _is_free(row.key, stored)
        ]
        if any(_has_begun(stored, name) for name in TRAININGS):
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


def check_outside(config: StudyConfig) -> None:
    """If a study asks for SmolLM2, report a missing model before anything trains.

    Raises:
        ValueError: it is not installed.
    """
    names = {config.base.outside.model, *_aligned_teachers(config)}
    if names & {"smollm2", "random-smollm2"}:
        from models.teachers.smollm2 import check_smollm2

        check_smollm2()


def _aligned_teachers(config: StudyConfig) -> set[str]:
    runs = [config.run(arm, config.seeds[0]) for arm in config.arms]
    return {run.teacher.name for run in runs if needs_teacher(run)}


def with_more_steps(stored: Study, config: StudyConfig) -> StudyConfig:
    """`config`, with the earlier length noted where a training of the study is to be extended.

    When `num_steps` grows after a training has begun, `earlier_num_steps` records the earlier
    length. Asking again for the same number means the extended training. A length that an arm sets
    for itself is left alone.
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
    generators = {name: _longer_generator(stored, config, name) for name in config.generators}
    return dataclasses.replace(config, base=base, generators=generators)


def _longer_generator(stored: Study, config: StudyConfig, name: str) -> Mapping[str, Any]:
    """Settings of a generator, with the earlier length noted where its training is extended."""
    given = config.generators[name]
    if name not in stored.config.generators:
        return given
    known, wanted = (c.generator(name).training for c in (stored.config, config))
    earlier = known.earlier_num_steps
    if wanted.num_steps > known.num_steps and not _is_free(f"generators.{name}", stored):
        earlier = _continued(known, wanted).earlier_num_steps
    elif wanted.num_steps != known.num_steps:
        earlier = ()
    if wanted.earlier_num_steps or not earlier:
        return given
    return {**given, "training": {**given.get("training", {}), "earlier_num_steps": list(earlier)}}


def refuse_unpaired(config: StudyConfig) -> None:
    """Refuse an arm that changes corpus, seed, sampling or evaluation: it would have no twin.

    Raises:
        InputError: naming the arm and its override.
    """
    for arm, overrides in config.arms.items():
        for key in overrides:
            if key.split(".")[0] in UNSHARED:
                raise InputError(
                    f"arm {arm!r} overrides {key}: the arms of a study must share corpus, seed, "
                    "sampling and evaluation, or they cannot be compared; make it a separate study"
                )


def _continued(known: TrainingConfig, wanted: TrainingConfig) -> TrainingConfig:
    earlier = (*known.earlier_num_steps, known.num_steps)
    return dataclasses.replace(wanted, earlier_num_steps=earlier)


def _set_by_an_arm(config: StudyConfig, training: str) -> bool:
    keys = {f"{training}.{name}" for name in LENGTHS}
    return any(keys & set(overrides) for overrides in config.arms.values())


def _has_begun(study: Study, training: str) -> bool:
    """Whether any run, or the judge, already has a checkpoint of this training."""
    folders = {
        "vae_training": [run.vae_dir for run in study.runs],
        "flow_training": [run.flow_dir for run in study.runs],
        "language_model_training": [study.language_model_dir],
    }
    return any(list_checkpoints(folder) for folder in folders[training])


def _grown(stored: StudyConfig, config: StudyConfig) -> list[str]:
    """Dotted keys of the trainings that are to have more steps."""
    shared = [name for name in config.generators if name in stored.generators]
    longer = [
        f"generators.{name}.training"
        for name in shared
        if config.generator(name).training.num_steps > stored.generator(name).training.num_steps
    ]
    return longer + [
        f"base.{name}"
        for name in TRAININGS
        if not _set_by_an_arm(config, name)
        and getattr(config.base, name).num_steps > getattr(stored.base, name).num_steps
    ]


def _may_change(key: str, grown: list[str]) -> bool:
    """Whether a setting does not affect what is trained, or only extends a training."""
    parts = key.split(".")
    longer = key.rpartition(".")[0] in grown and parts[-1] in LENGTHS
    # Another outside judge scores the same texts again; nothing is trained for it.
    return (
        longer
        or key.startswith("base.outside.")
        or parts[0] == "adapters"
        or key in HARMLESS
        or parts[-1] in HARMLESS_TRAINING
    )


def _is_free(key: str, stored: Study) -> bool:
    """Whether a setting belongs to a generator that has trained nothing, or to its writing.

    Generators may be added to a study at any time: its arms do not depend on them.
    """
    section, name, *parts = *key.split("."), ""
    if section != "generators" or parts[:1] == ["sampling"]:
        return section == "generators"
    folders = (stored.directory / "generators" / name).glob("seed-*/model")
    return not any(list_checkpoints(folder) for folder in folders)


def _refuse_changes(file: Path, changed: list[settings.Difference]) -> None:
    if changed:
        table = "; ".join(f"{row.key}: {row.left} -> {row.right}" for row in changed)
        raise InputError(
            f"{file}: the study was made with other settings ({table}); use --out, or --fork to "
            "keep what still fits"
        )


def _refuse_lost_work(study: Study, grown: list[str]) -> None:
    """Refuse to extend a model that others were trained on: their training would be lost.

    Raises:
        InputError: names the training and the folder that depends on it.
    """
    own = [r for r in study.runs if needs_teacher(r.config) and r.config.teacher.name == "own"]
    standing = {
        "vae_training": [run.flow_dir for run in study.runs],
        "language_model_training": [run.vae_dir for run in own],
    }
    for name in grown:
        for folder in standing.get(name.removeprefix("base."), ()):
            if list_checkpoints(folder):
                raise InputError(
                    f"{name}.num_steps: {folder} was trained on the model that this would "
                    "change; use --fork to continue in a new study and keep this one as it is"
                )
