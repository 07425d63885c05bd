"""Settings by their content: fingerprints and differences."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.config.construct import build
from workbench.config.plain import below, identity, to_dict

FINGERPRINT_DIGITS = 12
ABSENT = "(absent)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One dotted key whose value differs between two settings.

    Attributes:
        key: Dotted key, as `--set` takes it.
        left: Value on the left as JSON, or `(absent)`.
        right: Value on the right, likewise.
    """

    key: str
    left: str
    right: str


def fingerprint(settings: Any) -> str:
    """12 hex digits of the sha256 over the sorted JSON of a dataclass or mapping.

    The order of keys does not matter, nor whether a float field was written as 1 or 1.0.
    """
    plain = to_dict(settings)
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        # `build` turns an int in a float field into a float.
        plain = identity(build(type(settings), plain))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT_DIGITS]


def differences(left: Any, right: Any) -> tuple[Difference, ...]:
    """Dotted keys whose values differ, in sorted order; empty when the two are equal."""
    a, b = _flat(to_dict(left)), _flat(to_dict(right))
    return tuple(
        Difference(key=key, left=a.get(key, ABSENT), right=b.get(key, ABSENT))
        for key in sorted(a.keys() | b.keys())
        if a.get(key, ABSENT) != b.get(key, ABSENT)
        and not _stands_for_keys_below(key, b if key in a else a)
    )


def format_differences(
    found: tuple[Difference, ...], left: str = "stored", right: str = "given"
) -> str:
    """Format differences as a table with three aligned columns: key, left value, right value."""
    rows = [("key", left, right), *((row.key, row.left, row.right) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{k:<{widths[0]}}  {a:<{widths[1]}}  {b}" for k, a, b in rows)


def _stands_for_keys_below(key: str, other: Mapping[str, str]) -> bool:
    """Whether `key` is an empty mapping on one side whose keys on the other are listed anyway."""
    return key not in other and any(name.startswith(f"{key}.") for name in other)


def _flat(plain: Any, where: str = "") -> dict[str, str]:
    """Dotted key -> JSON text of every leaf; empty mappings and lists are leaves."""
    if isinstance(plain, dict) and plain:
        leaves: dict[str, str] = {}
        for key, item in plain.items():
            leaves |= _flat(item, below(where, key))
        return leaves
    return {where: json.dumps(plain, sort_keys=True, ensure_ascii=False)}
