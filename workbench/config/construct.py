"""Strict construction of nested dataclasses from plain mappings, by pydantic."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.config.plain import below, to_dict
from workbench.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

Settings = TypeVar("Settings")
# Kind of pydantic's error -> what it expects, in the words of a settings file.
EXPECTED = {
    "bool_type": "true or false",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "literal_error": "{expected}",
    "string_type": "text (quote it)",
    "too_long": "a list of at most {max_length} items",
    "tuple_type": "a list",
}


def build(cls: type[Settings], mapping: Mapping[str, Any], where: str = "") -> Settings:
    """Build the dataclass `cls` from `mapping`, checking every key and type on the way down.

    An int is taken where a float is declared, a list where a tuple is; nothing else is converted.

    Args:
        cls: A dataclass whose fields are of types that JSON can express.
        mapping: Key -> value, nested as the dataclass is; what is left out takes its default.
        where: Dotted key or file in front of every key that an error names.

    Raises:
        InputError: One line with the dotted key, the value and what is expected there. Also for a
            `ValueError` of the dataclass's own checks.
    """
    from pydantic import ValidationError

    if not isinstance(mapping, Mapping):
        raise InputError(f"{where or cls.__name__}: must be a mapping, got {_shown(mapping)}")
    plain = to_dict(mapping, where)
    try:
        # As JSON, because pydantic's strict dataclasses take no mapping from Python.
        document = json.dumps([plain], ensure_ascii=False).encode()
        (settings,) = _adapter(cls).validate_json(document)  # type: ignore[arg-type]
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        raise InputError(_one_line(cls, plain, errors, where)) from invalid
    except ValueError as error:  # a lone surrogate, or an int of too many digits
        raise InputError(f"{where or cls.__name__}: cannot be JSON ({error})") from error
    return typing.cast(Settings, settings)


@functools.cache
def _adapter(cls: type) -> TypeAdapter[list[Any]]:
    """Validator of a list with one `cls`: only what is around a dataclass can configure it."""
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return TypeAdapter(list[cls], config=strict)  # type: ignore[valid-type]


def _one_line(cls: type, plain: Any, errors: Sequence[ErrorDetails], where: str) -> str:
    """What is wrong, by one of the errors: an unknown key explains one that is missing."""
    error = min(errors, key=lambda error: error["type"] != "unexpected_keyword_argument")
    kind, keys = error["type"], error["loc"][1:]
    absent = kind in ("missing", "unexpected_keyword_argument")
    value, place = plain, where
    for depth, key in enumerate(keys[:-1] if absent else keys):
        if not (key in value if isinstance(value, dict) else isinstance(key, int)):
            # Not a key of ours, but the member of a union that pydantic has tried.
            tried = " or ".join(_members(errors, keys[:depth]))
            return f"{place}: must be {tried}, got {_shown(value)}"
        value, place = value[key], below(place, key)
    if kind == "missing":
        return f"{below(place, keys[-1])}: is missing and has no default"
    if kind == "unexpected_keyword_argument":
        return f"{below(place, keys[-1])}: unknown key, {_nearest(cls, keys)}"
    if kind == "value_error":
        own = str(error["ctx"]["error"])
        return f"{place}: {own}" if place else own
    expected = EXPECTED.get(kind, error["msg"]).format(**error.get("ctx", {}))
    return f"{place or cls.__name__}: must be {expected}, got {_shown(value)}"


def _members(errors: Sequence[ErrorDetails], keys: tuple[str | int, ...]) -> list[str]:
    """Names of the members that were tried for the union at `keys`."""
    places = [error["loc"][1:] for error in errors]
    found = (str(place[len(keys)]) for place in places if place[: len(keys)] == keys)
    return list(dict.fromkeys(found))


def _nearest(cls: type, keys: Sequence[str | int]) -> str:
    """A hint at the known key that is most like the last of `keys`."""
    for key in keys[:-1]:
        if isinstance(key, str):  # a position in a list leads no deeper into the types
            cls = _dataclass_in(typing.get_type_hints(cls)[key])
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    near = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _dataclass_in(hint: Any) -> Any:
    """The dataclass that a type hint holds, as in `Model | None` and `tuple[Model, ...]`."""
    if dataclasses.is_dataclass(hint):
        return hint
    return next((found for inner in typing.get_args(hint) if (found := _dataclass_in(inner))), None)


def _shown(value: Any, limit: int = 60) -> str:
    """`value` as an error shows it: one short line, with the name of its type."""
    if value is None:
        return "null"
    text = repr(value)
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return f"{text} ({type(value).__name__})"
