"""Strict JSON and the digest that seals it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


def digest(document: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of a document, whatever the order of its keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_strict(content: bytes) -> Any:
    """Parse JSON, refusing the NaN and Infinity that Python takes and JSON does not have.

    Raises:
        ValueError: Not JSON, or nested beyond what can be parsed.
    """
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
