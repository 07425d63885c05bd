"""Paths in settings: one spelling each, found once, where settings enter.

A study keeps the spelling that it was made with, since its fingerprints hold it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.configs.teacher import HF_PREFIX
from workbench.config.adapters import OF_A_PACKAGE, AdapterConfig
from workbench.config.construct import build
from workbench.config.plain import to_dict
from workbench.config.study import StudyConfig

# Dotted keys of a run's settings -> what stands before a path in them.
PATHS: Mapping[str, str] = {
    "corpus.path": "",
    "corpus.hf_name": "",
    "teacher.name": HF_PREFIX,
    "evaluation.encoder": HF_PREFIX,
}
MAY_BE_NO_PATH = ("corpus.hf_name", "teacher.name", "evaluation.encoder")  # names on a hub
MARKS = ("~", "/", "./", "../")


def absolute(path: str) -> Path:
    """The one spelling of a path: `~`, `..`, links of its folders and a relative start resolved.

    The last name stays though it may be a link, because its ending says how a file is read.
    """
    spelled = os.path.expanduser(path).rstrip(os.sep) or os.sep
    folder, name = os.path.split(spelled)
    if "\0" in path or name in ("", ".", ".."):
        return Path(spelled if "\0" in path else os.path.realpath(spelled))
    return Path(os.path.realpath(folder), name)


def settled(config: StudyConfig, stored: StudyConfig | None = None) -> StudyConfig:
    """`config` with each path in its one spelling, or in that of the study which it goes on.

    Args:
        config: settings as they were given.
        stored: settings of a study that is there.
    """
    base = to_dict(config.base)
    for key, value in _all_settled(_paths(config), _paths(stored)).items():
        section, name = key.split(".")
        base[section][name] = value
    arms = {
        arm: _all_settled(overrides, stored.arms.get(arm, {}) if stored else {})
        for arm, overrides in config.arms.items()
    }
    adapters = {name: _found(adapter) for name, adapter in config.adapters.items()}
    base = build(type(config.base), base)
    return dataclasses.replace(config, base=base, arms=arms, adapters=adapters)


def _found(adapter: AdapterConfig) -> AdapterConfig:
    """An adapter with its file and the folder of its model in their one spelling."""
    source, model = adapter.source, absolute(adapter.model)
    if not OF_A_PACKAGE.fullmatch(source):
        source = str(absolute(source))
    return AdapterConfig(source=source, model=str(model) if model.exists() else adapter.model)


def _paths(config: StudyConfig | None) -> dict[str, Any]:
    base = to_dict(config.base) if config else None
    return {key: base[key.split(".")[0]][key.split(".")[1]] for key in PATHS} if base else {}


def _all_settled(values: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted settings with their paths settled; `former` holds those of the study there."""
    return {
        key: _settled(key, value, str(former.get(key, ""))) if key in PATHS else value
        for key, value in values.items()
    }


def _settled(key: str, value: Any, former: str) -> Any:
    prefix = PATHS[key]
    if value == former or not isinstance(value, str) or not value.startswith(prefix):
        return value
    path = value.removeprefix(prefix)
    if not path or not _is_path(key, path):
        return value
    place = absolute(path)
    if former.startswith(prefix) and _is_same(former.removeprefix(prefix), place):
        return former
    return f"{prefix}{place}"


def _is_path(key: str, text: str) -> bool:
    """Whether a text is a path: always, or where it looks like one or is there."""
    spelled = os.path.expanduser(text)
    return key not in MAY_BE_NO_PATH or text.startswith(MARKS) or os.path.isdir(spelled)


def _is_same(former: str, place: Path) -> bool:
    """Whether a stored spelling means `place`: by its name, or by the file that both lead to."""
    try:
        return absolute(former) == place or os.path.samefile(os.path.expanduser(former), place)
    except (OSError, ValueError):
        return False
