"""Plain form of settings: dicts, lists, str, int, float, bool and None, as JSON holds them."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.configs.checks import BEFORE
from workbench.errors import InputError


def identity(settings: Any) -> Any:
    """Plain form without the fields that were added later and still have their former value.

    Fingerprints are made of it, so that a new setting does not change those of finished work.
    """
    return to_dict(settings, unchanged=False)


def to_dict(settings: Any, where: str = "", *, unchanged: bool = True) -> Any:
    """Plain form of a settings object or of a mapping.

    `build(type(settings), to_dict(settings)) == settings`.

    Args:
        settings: A dataclass, mapping, list, tuple, enum, path or scalar; these may be nested.
        where: Dotted key or file in front of every key that an error names.
        unchanged: Include fields that were added later and still have their former value.

    Raises:
        InputError: A NaN or infinity, or a value that JSON cannot hold.
    """

    def inside(item: Any, key: Any) -> Any:
        return to_dict(item, below(where, key), unchanged=unchanged)

    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return {
            field.name: inside(getattr(settings, field.name), field.name)
            for field in dataclasses.fields(settings)
            if field.init and (unchanged or not _stands_as_before(settings, field))
        }
    if isinstance(settings, Mapping):
        return {_key(key, where): inside(item, key) for key, item in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [inside(item, position) for position, item in enumerate(settings)]
    if isinstance(settings, enum.Enum):
        return to_dict(settings.value, where)
    if isinstance(settings, Path):
        return settings.as_posix()
    if isinstance(settings, float) and not math.isfinite(settings):
        raise InputError(f"{where or 'value'}: must be finite, got {settings}")
    if settings is None or isinstance(settings, (str, bool, int, float)):
        return settings
    raise InputError(f"{where or 'value'}: {type(settings).__name__} has no plain form in settings")


def below(where: str, key: Any) -> str:
    """The dotted name of `key` inside of `where`; a position in a list stands in brackets."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    text = key if isinstance(key, str) and key.isprintable() else repr(key)
    return f"{where}.{text}" if where else text


def _stands_as_before(settings: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a field has the value that was in effect before the field existed."""
    return BEFORE in field.metadata and getattr(settings, field.name) == field.metadata[BEFORE]


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    raise InputError(f"{where or 'value'}: keys must be text, got {key!r}")
