"""Held-out words and texts in every space of a selection, read once for all pages."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.probes.spaces import Items
from workbench.ui.kit.cached import opened, weights_stamp
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.ui.kit.selection import Selection

CHANCE = 0.5  # mean displacement between unrelated spaces


def key_of(selection: Selection, level: str) -> str:
    """Names the items of a selection: runs, their weights, the teacher's states."""
    parts = [level, *(f"{run.directory}{weights_stamp(run)}" for run in selection.runs.values())]
    teachers = sorted(selection.study.directory.glob("teacher/*/manifest.json"))
    parts += [repr(stamp(file)) for file in teachers]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def items_of(selection: Selection, level: str) -> Items:
    """Tokens or texts in every space of the selection."""
    return _items(key_of(selection, level), level, selection)


@st.cache_resource(max_entries=8, show_spinner="Reading the spaces …", show_time=True)
def _items(key: str, level: str, _selection: Selection) -> Items:
    return opened(_selection.study).items(_selection.runs, level)


def displaced(key: str, first: str, second: str, _spaces: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) displacement of each item from one space to the other, NaN where it is not defined."""
    return _displaced(key, first, second, _spaces)


@st.cache_resource(max_entries=16, show_spinner="Comparing neighbourhoods …", show_time=True)
def _displaced(key: str, first: str, second: str, _spaces: Mapping[str, np.ndarray]) -> np.ndarray:
    from analyses.spaces.displacement import displacement

    found = displacement(_spaces[first], _spaces[second])
    n = len(_spaces[first])
    return np.asarray(found.per_item.get("displacement", np.full(n, np.nan)), np.float64)


def displacement_sentence(moved: np.ndarray) -> str:
    """What the numbers (N,) mean, and on which side of chance the largest lies."""
    said = "Displacement: 0 = it keeps its neighbours from one arm to the other"
    if not np.isfinite(moved).any():
        return f"{said}."
    if np.nanmax(moved) < CHANCE:
        return (
            f"{said}; unrelated spaces would average {CHANCE}. All lie below: even these keep "
            "part of their neighbours."
        )
    beyond = int((moved > CHANCE).sum())
    return (
        f"{said}; unrelated spaces would average {CHANCE}, and {beyond} of {len(moved)} lie beyond."
    )
