"""Adapters that a study names: code from outside, run only where `--adapter` names it too."""

from __future__ import annotations

import re
from dataclasses import dataclass

# An adapter of an installed package; anything else that an adapter's source says is a file.
OF_A_PACKAGE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterConfig:
    """An adapter that a study names.

    Attributes:
        source: a Python file with `load(model)`, or `MODULE:NAME` of an installed package: a class
            or function that takes `model`.
        model: what it is given, such as the folder of the weights.
    """

    source: str
    model: str

    def __post_init__(self) -> None:
        for name in ("source", "model"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
