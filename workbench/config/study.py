"""A study: twins, which share a base and differ in what they declare, and their seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.configs.checks import BEFORE
from models.configs.teacher import UNTRAINED
from workbench.config import settings
from workbench.config.adapters import AdapterConfig
from workbench.config.arms import REFERENCE, standard_arms
from workbench.config.generators import GeneratorConfig, generator_config
from workbench.config.run import RunConfig, in_teacher_space

TAKEN = ("human", "autoregressive", "prompt")  # columns beside the arms in tables


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """Twins: one base configuration, arms that override it, and seeds.

    Attributes:
        name: folder under the runs directory.
        base: what all arms share.
        arms: arm name -> dotted overrides of `base`.
        generators: name -> settings of a generator of another family, trained on the same tokens:
            `family`, and what departs from its `network`, `training` and `sampling`.
        adapters: name -> an adapter of a model from outside, for `encode STUDY --adapter NAME`.
        seeds: every arm is trained under each.
        workers: parallel runs, each in its own process; 0 means one per core on CPUs, one on a GPU.
        threads: threads per worker; 0 divides the cores evenly.
        loggers: extra loggers by name: `tensorboard`, `wandb`, `trackio`.
    """

    name: str = "study"
    base: RunConfig = field(default_factory=RunConfig)
    arms: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: standard_arms(("none", "repa"))
    )
    generators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata={BEFORE: {}})
    adapters: Mapping[str, AdapterConfig] = field(default_factory=dict, metadata={BEFORE: {}})
    seeds: tuple[int, ...] = (0,)
    workers: int = 0
    threads: int = 0
    loggers: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError("arms must name at least one arm")
        if not self.seeds:
            raise ValueError("seeds must name at least one seed")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}")
        for name in ("workers", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        for arm in self.arms:
            _check_name("arm", arm)
            _check_reference(arm, self.run(arm, self.seeds[0]), self)
        for name in self.generators:
            _check_name("generator", name)
            if name in self.arms or name in TAKEN:
                raise ValueError(f"generator {name!r}: that name is taken; choose another")
            self.generator(name)

    def generator(self, name: str) -> GeneratorConfig:
        """The settings of one generator.

        Raises:
            InputError: one of them is wrong.
        """
        return generator_config(name, self.generators[name])

    def run(self, arm: str, seed: int) -> RunConfig:
        """The configuration of one arm under one seed.

        Raises:
            ValueError: there is no such arm, or an override names no setting.
        """
        if arm not in self.arms:
            raise ValueError(f"no arm {arm!r}; the study has {', '.join(self.arms)}")
        mapping = settings.to_dict(self.base)
        for key, value in self.arms[arm].items():
            *parents, last = key.split(".")
            target = mapping
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = value
        try:
            config = settings.build(RunConfig, mapping)
        except ValueError as error:
            raise ValueError(f"arm {arm!r}: {error}") from error
        return dataclasses.replace(config, seed=seed)


def _check_name(kind: str, name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{kind} {name!r}: use letters, digits, - and _ only")


def _check_reference(arm: str, config: RunConfig, study: StudyConfig) -> None:
    """Refuse an arm in the teacher's space that passes for a twin, or cannot be read."""
    if not in_teacher_space(config):
        return
    if not arm.endswith(REFERENCE) or arm == next(iter(study.arms)):
        raise ValueError(
            f"arm {arm!r} learns no space and is no twin: its name must end in {REFERENCE}, and "
            "it cannot be the first arm, which others are held against"
        )
    pieces, own = study.base.teacher.name, config.teacher.name
    if own != "own" and UNTRAINED.get(own, own) != UNTRAINED.get(pieces, pieces):
        raise ValueError(f"arm {arm!r}: teacher {own!r} does not read the pieces of {pieces!r}")
