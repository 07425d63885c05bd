"""A study's settings as someone asks for them: a preset or a file, and overrides on top."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.config import settings
from workbench.config.places import settled
from workbench.config.presets import PRESETS
from workbench.config.study import StudyConfig
from workbench.errors import InputError


def study_config(
    *,
    preset: str = "",
    file: str = "",
    overrides: Sequence[str] = (),
    stored: StudyConfig | None = None,
) -> StudyConfig:
    """A study's settings from a preset or a YAML file, with dotted overrides on top.

    A file may name a `preset` to start from; its other keys are those of `StudyConfig`. Without a
    preset and a file, the settings are those `stored` in the study that is resumed or forked. Paths
    are resolved here, see `settled`.

    Raises:
        InputError: neither or both are given, the preset is unknown, or a setting is wrong.
    """
    if (preset and file) or not (preset or file or stored):
        raise InputError(f"give --preset or --config; presets: {', '.join(PRESETS)}")
    mapping: dict[str, Any] = {}
    if stored is not None and not preset and not file:
        mapping = settings.to_dict(stored)
    if file:
        mapping = settings.load_yaml(file)
        preset = mapping.pop("preset", "")
    if preset:
        if preset not in PRESETS:
            near = difflib.get_close_matches(preset, PRESETS, n=1)
            hint = f"did you mean {near[0]}? There are" if near else "choose from"
            raise InputError(f"no preset {preset!r}; {hint} {', '.join(PRESETS)}")
        mapping = _merged(settings.to_dict(PRESETS[preset]()), mapping)
    mapping = settings.apply_overrides(mapping, overrides, StudyConfig)
    return settled(settings.build(StudyConfig, mapping), stored)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping; `arms` are replaced whole."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping) and key != "arms"
        result[key] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return result
