"""Strict construction of nested dataclasses from plain mappings, driven by their type hints."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import InputError

Settings = TypeVar("Settings")


def build(cls: type[Settings], mapping: Mapping[str, Any], where: str = "") -> Settings:
    """Build the dataclass `cls` from `mapping`, checking every key and type on the way down.

    An int is taken where a float is declared, a list where a tuple is; nothing else is converted.

    Args:
        cls: A dataclass whose fields are scalars, `Literal`, enums, `Path`, tuples, lists,
            mappings with str keys, dataclasses, or unions of these.
        mapping: Key -> value, nested as the dataclass is; what is left out takes its default.
        where: Dotted key or file in front of every key that an error names.

    Raises:
        InputError: One line with the dotted key, the value and what is expected there. Also for a
            `ValueError` of the dataclass's own checks.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where or cls.__name__}: must be a mapping, got {_shown(mapping)}")
    hints = _field_hints(cls)
    _refuse_unknown(mapping, hints, where)
    values = {
        key: _convert(value, hints[key], _dotted(where, key)) for key, value in mapping.items()
    }
    missing = [name for name in _required(cls) if name not in values]
    if missing:
        raise InputError(f"{_dotted(where, missing[0])}: is missing and has no default")
    try:
        return cls(**values)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from error


def _field_hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _required(cls: Any) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in dataclasses.fields(cls)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )


def _refuse_unknown(mapping: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for key in mapping:
        if key in known:
            continue
        nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
        raise InputError(f"{_dotted(where, key)}: unknown key, {hint}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check `value` against the type `hint`, converting int -> float and list -> tuple only."""
    if hint is Any or hint is object:
        return _refuse_non_finite(value, where)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where)  # type: ignore[arg-type]
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _convert(value, typing.get_args(hint)[0], where)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, typing.get_args(hint), where)
    if origin is typing.Literal:
        return _convert_literal(value, typing.get_args(hint), where)
    converter = _CONVERTERS.get(origin or hint)
    if converter is not None:
        return converter(value, typing.get_args(hint), where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _convert_enum(value, hint, where)
    raise TypeError(f"{where}: settings cannot hold a field of type {hint!r}")


def _convert_union(value: Any, members: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in members:
        return None
    members = tuple(member for member in members if member is not type(None))
    # An exact match first, so that 1 stays an int under `float | int`.
    for member in sorted(members, key=lambda member: type(value) is not member):
        try:
            return _convert(value, member, where)
        except InputError as error:
            failure = error
    if len(members) == 1:
        raise failure
    raise InputError(f"{where}: must be {_named(members)}, got {_shown(value)}") from failure


def _convert_literal(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    names = ", ".join(str(choice) for choice in choices)
    raise InputError(f"{where}: must be one of {names}, got {_shown(value)}")


def _convert_enum(value: Any, hint: type[enum.Enum], where: str) -> enum.Enum:
    if isinstance(value, hint):
        return value
    for member in hint:
        if type(value) is type(member.value) and value == member.value:
            return member
    names = ", ".join(str(member.value) for member in hint)
    raise InputError(f"{where}: must be one of {names}, got {_shown(value)}")


def _convert_bool(value: Any, _args: tuple[Any, ...], where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise InputError(f"{where}: must be true or false, got {_shown(value)}")


def _convert_int(value: Any, _args: tuple[Any, ...], where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"{where}: must be a whole number, got {_shown(value)}")


def _convert_float(value: Any, _args: tuple[Any, ...], where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: must be a number, got {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise InputError(f"{where}: must fit a float, got {_shown(value)}") from None
    return _refuse_non_finite(number, where)


def _convert_str(value: Any, _args: tuple[Any, ...], where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: must be text (quote it), got {_shown(value)}")
    return value


def _convert_path(value: Any, _args: tuple[Any, ...], where: str) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise InputError(f"{where}: must be a path, got {_shown(value)}")


def _convert_tuple(value: Any, args: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    items = _items(value, where)
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(items)
    elif args and len(args) != len(items):
        raise InputError(f"{where}: must have {len(args)} items, got {len(items)}")
    hints = args or (Any,) * len(items)
    return tuple(
        _convert(item, hint, f"{where}[{position}]")
        for position, (item, hint) in enumerate(zip(items, hints, strict=True))
    )


def _convert_list(value: Any, args: tuple[Any, ...], where: str) -> list[Any]:
    hint = args[0] if args else Any
    return [
        _convert(item, hint, f"{where}[{position}]")
        for position, item in enumerate(_items(value, where))
    ]


def _convert_mapping(value: Any, args: tuple[Any, ...], where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: must be a mapping, got {_shown(value)}")
    hint = args[1] if args else Any
    for key in value:
        _convert_str(key, (), f"{where}: key")
    return {key: _convert(item, hint, _dotted(where, key)) for key, item in value.items()}


def _items(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    raise InputError(f"{where}: must be a list, got {_shown(value)}")


def _refuse_non_finite(value: Any, where: str) -> Any:
    """Hand back `value` unless a NaN or infinity is anywhere inside it."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: must be finite, got {value}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_non_finite(item, _dotted(where, key))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            _refuse_non_finite(item, f"{where}[{position}]")
    return value


_CONVERTERS: dict[Any, Callable[[Any, tuple[Any, ...], str], Any]] = {
    bool: _convert_bool,
    int: _convert_int,
    float: _convert_float,
    str: _convert_str,
    Path: _convert_path,
    tuple: _convert_tuple,
    list: _convert_list,
    Sequence: _convert_tuple,
    dict: _convert_mapping,
    Mapping: _convert_mapping,
}


def _dotted(where: str, key: Any) -> str:
    text = key if isinstance(key, str) and key.isprintable() else repr(key)
    return f"{where}.{text}" if where else text


def _named(members: Sequence[Any]) -> str:
    return " or ".join(getattr(member, "__name__", str(member)) for member in members)


def _shown(value: Any, limit: int = 60) -> str:
    """`value` as an error shows it: one short line, with the name of its type."""
    if value is None:
        return "null"
    try:
        text = repr(value)
    except ValueError:  # an int beyond the interpreter's limit of printable digits
        text = "a huge number"
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return f"{text} ({type(value).__name__})"
