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
    """Plain form without fields that stand as they did before they existed.

    Names are made of it, so that work of an earlier release keeps its name.
    """
    return to_dict(settings, unchanged=False)


def to_dict(settings: Any, where: str = "", *, unchanged: bool = True) -> Any:
    """Plain form of a settings object or of a mapping.

    `build(type(settings), to_dict(settings)) == settings`.

    Args:
        settings: A dataclass, mapping, list, tuple, enum, path or scalar, nested at will.
        where: Dotted key or file in front of every key that an error names.
        unchanged: Also fields that came later and stand as things were before, see `identity`.

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
    """Whether a field says what was the case before there was such a field."""
    return BEFORE in field.metadata and getattr(settings, field.name) == field.metadata[BEFORE]


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    raise InputError(f"{where or 'value'}: keys must be text, got {key!r}")
