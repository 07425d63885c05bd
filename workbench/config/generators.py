"""Settings of one generator of a study: its family, network, training, and way of writing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.configs.checks import check_choice
from models.configs.teacher import HF_PREFIX
from models.generators.families import FAMILIES, Family
from workbench.config import settings
from workbench.config.training import TrainingConfig
from workbench.errors import InputError

FROM_CORPUS = ("vocab_size", "window")


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorConfig:
    """One generator, trained on the study's tokens beside its arms.

    Attributes:
        family: a key of `FAMILIES`.
        network: settings of the family's network, without what the corpus determines.
        sampling: settings of its way of writing.
        training: how it is trained; one step stands for reading released weights.
        weights: `hf:<model id or directory>` of released weights, scored as they are; "" trains.
    """

    family: str
    network: Any
    sampling: Any
    training: TrainingConfig
    weights: str = ""

    @property
    def kind(self) -> Family:
        """The family's entry."""
        return FAMILIES[self.family]

    @property
    def guidance_scale(self) -> float:
        """Of the stored texts; 1, which is off, where the family has no guidance."""
        return float(getattr(self.sampling, "guidance_scale", 1.0))

    def writing(self, **options: Any) -> Any:
        """Settings of writing with other values; None leaves one as it is.

        Raises:
            InputError: the family has no such setting.
            ValueError: a value is out of range.
        """
        given = {name: value for name, value in options.items() if value is not None}
        for name in given:
            if name not in self.kind.options():
                known = ", ".join(self.kind.options())
                raise InputError(f"{name}: {self.family} has no such setting; it has {known}")
        return dataclasses.replace(self.sampling, **given)


def generator_config(name: str, mapping: Mapping[str, Any]) -> GeneratorConfig:
    """The settings of the generator `name` from a mapping with `family` and what departs from it.

    Raises:
        InputError: an unknown family, key or value, named by its dotted key.
    """
    where = f"generators.{name}"
    if "family" not in mapping:
        raise InputError(f"{where}.family: is missing; choose from {', '.join(FAMILIES)}")
    try:
        check_choice(f"{where}.family", mapping["family"], FAMILIES)
    except ValueError as error:
        raise InputError(str(error)) from error
    family = FAMILIES[mapping["family"]]
    parts = {"network": family.network, "sampling": family.sampling, "training": TrainingConfig}
    unknown = sorted(set(mapping) - {"family", "weights", *parts})
    if unknown:
        known = ", ".join(("family", "weights", *parts))
        raise InputError(f"{where}.{unknown[0]}: unknown key, known: {known}")
    for key in FROM_CORPUS:
        if key in (mapping.get("network") or {}):
            raise InputError(f"{where}.network.{key}: is filled from the corpus; leave it out")
    weights = mapping.get("weights", "")
    if weights:
        _check_weights(where, mapping)
        mapping = {**mapping, "training": {"num_steps": 1, "warmup_steps": 0}}
    built: dict[str, Any] = {
        part: settings.build(kind, mapping.get(part, {}), f"{where}.{part}")
        for part, kind in parts.items()
    }
    if family.learns_padding and built["training"].bucket_multiple:
        raise InputError(
            f"{where}.training.bucket_multiple: must be 0, because {mapping['family']} learns "
            f"whole windows, got {built['training'].bucket_multiple}"
        )
    return GeneratorConfig(family=mapping["family"], weights=weights, **built)


def _check_weights(where: str, mapping: Mapping[str, Any]) -> None:
    """Refuse released weights that no code here reads, and settings that they already have.

    Raises:
        InputError: naming the key.
    """
    weights, family = mapping["weights"], mapping["family"]
    if FAMILIES[family].released is None:
        known = ", ".join(name for name, kind in FAMILIES.items() if kind.released)
        raise InputError(
            f"{where}.weights: released weights of {family} cannot be read here, as their classes "
            f"are code of a model's repository or do not exist; those of {known} can"
        )
    if not isinstance(weights, str) or not weights.startswith(HF_PREFIX):
        raise InputError(f"{where}.weights: must be hf:<model id or directory>, got {weights!r}")
    for part in ("network", "training"):
        if mapping.get(part):
            raise InputError(f"{where}.{part}: belongs to {weights}, which is read as it is")
