"""`--set a.b=c`: single settings as text, and back.

A setting that is text takes what stands behind the `=` as it stands, so that `#`, `:` and digits
are part of it; any other value is YAML.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from workbench.config.documents import StrictLoader, TextLoader, parse_yaml
from workbench.errors import InputError

QUOTES = ("'", '"')


def apply_overrides(
    mapping: Mapping[str, Any], overrides: Sequence[str], cls: type | None = None
) -> dict[str, Any]:
    """Set dotted keys: `["vae.width=64"]` gives a copy of `mapping` with that value changed.

    Text is taken as it stands, without YAML's quotes if it has them; in a list of texts every item
    is text. Other values are YAML: `null`, `1e-3`, `[1, 2]` and `{a: 1}` mean what they mean in a
    file. Spaces around the `=` are left out if there is one before it.

    Args:
        mapping: Key -> value, nested.
        overrides: `KEY=VALUE` each.
        cls: Dataclass that `mapping` is to become; it says which settings are text. Whether a key
            exists is for `build` to say.

    Raises:
        InputError: An override without `=` or with an empty part of a key, a key below a value that
            is no mapping, a key that two overrides set, or a value that is not YAML or would lose
            a `#` and what follows.
    """
    result = _copied(mapping)
    seen: set[str] = set()
    for override in overrides:
        key, equals, text = override.partition("=")
        text = text.lstrip(" ") if key.endswith(" ") else text
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise InputError(f"--set {override}: must read KEY=VALUE, as in vae.width=64")
        if key in seen:
            raise InputError(f"--set {override}: {key} is set twice")
        seen.add(key)
        _set_dotted(result, key, _value(text, f"--set {key}", _hint(cls, key.split("."))))
    return result


def as_override(key: str, value: Any) -> str:
    """The override that sets `key` to `value`: the inverse of `apply_overrides`.

    Args:
        key: Dotted.
        value: Text for a setting that is text; else anything that JSON can express.
    """
    plain = isinstance(value, str) and not _is_quoted(value)
    return f"{key}={value if plain else json.dumps(value, ensure_ascii=False)}"


def _value(text: str, where: str, hint: Any) -> Any:
    """What a value's text means for a setting of the type `hint`."""
    if hint is str and not _is_quoted(text):
        return text
    loader = TextLoader if hint in (str, tuple[str, ...]) else StrictLoader
    value = parse_yaml(text, where, loader)
    if _has_comment(text):
        raise InputError(f"{where}: a # after a space begins a comment in {text!r}; quote the text")
    return value


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES


def _has_comment(text: str) -> bool:
    """Whether YAML leaves out the end of `text`, which can be read."""
    *_, last, _end = yaml.scan(text, Loader=StrictLoader)
    return last.end_mark.index < len(text.rstrip())


def _hint(cls: Any, keys: Sequence[str]) -> Any:
    """Type of the setting that dotted keys name; None where there is none or anything goes."""
    for key in keys:
        if dataclasses.is_dataclass(cls):
            cls = typing.get_type_hints(cls).get(key)
        elif typing.get_origin(cls) is Mapping:
            cls = typing.get_args(cls)[1]
        else:
            return None
    return cls


def _set_dotted(target: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents):
        child = target.setdefault(parent, {})
        if child is None:
            child = target[parent] = {}
        if not isinstance(child, dict):
            above = ".".join(parents[: depth + 1])
            raise InputError(f"--set {key}: {above} is a value and has no keys below it")
        target = child
    target[last] = value


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
