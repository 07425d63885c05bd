"""The examples that pages open on: a typical word and its label, by rules that name no score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.errors import WorkbenchError
from workbench.probes.typical_word import typical_place
from workbench.ui.kit.cached import probe_results, read_table
from workbench.ui.kit.scan import stamp
from workbench.ui.sections.shared.held_out import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection

PREFIX = "knn_coherence.token.other_id."


@dataclass(frozen=True)
class Typical:
    """A word that stands for all.

    Attributes:
        row: of the held-out words.
        label: the kind that is looked at, such as `pos`.
        shares: arm -> stored share over all words, with interval, chance and n.
    """

    row: int
    label: str
    shares: Mapping[str, Mapping[str, Any]]


def typical_word(selection: Selection, items: Items) -> Typical | None:
    """The typical word of the first kind that is probed in every arm; None where none is."""
    results = known_results(selection)
    label = next(
        (
            name
            for name in items.labels
            if all(_is_known(own, PREFIX + name) for own in results.values())
        ),
        None,
    )
    if label is None:
        return None
    files = [run.probes_dir / f"{PREFIX}{label}.parquet" for run in selection.runs.values()]
    known = tuple((str(file), stamp(file)) for file in files)
    row = _typical_row(key_of(selection, "tokens"), known, items.ids)
    if row is None:
        return None
    return Typical(row, label, {arm: own[PREFIX + label] for arm, own in results.items()})


@st.cache_data(max_entries=32, show_spinner=False)
def _typical_row(
    key: str, files: tuple[tuple[str, tuple[int, int]], ...], _ids: np.ndarray
) -> int | None:
    """The row of the typical word; None where the arms were probed at other rows."""
    tables = [read_table(Path(path)) for path, _ in files]
    rows = tables[0]["row"].to_numpy(np.int64)
    if any(not np.array_equal(rows, table["row"]) for table in tables):
        return None
    return int(rows[typical_place([t["share"].to_numpy() for t in tables], _ids[rows])])


def known_results(selection: Selection) -> dict[str, dict[str, dict[str, Any]]]:
    """Stored results of each arm; none of an arm whose files cannot be read.

    An example has no card of its own: the page that shows the numbers says what is damaged.
    """
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, run in selection.runs.items():
        try:
            results[arm] = probe_results(run)
        except (WorkbenchError, OSError):
            results[arm] = {}
    return results


def _is_known(results: Mapping[str, Any], name: str) -> bool:
    return results.get(name, {}).get("score") is not None


def neighbour_shares(selection: Selection, label: str, level: str) -> dict[str, float]:
    """Arm -> stored share of its neighbours that have the same label; absent where not probed.

    At level `tokens` neighbours that are the same word do not count, for they share every label.
    """
    return _shares(known_results(selection), label, level)


def _shares(results: Mapping[str, Any], label: str, level: str) -> dict[str, float]:
    name = f"{PREFIX if level == 'tokens' else 'knn_coherence.text.'}{label}"
    return {arm: own[name]["score"] for arm, own in results.items() if _is_known(own, name)}


def parting_label(selection: Selection, items: Items, level: str) -> str:
    """The label whose stored neighbour share differs most between the arms; else the first.

    Empty where the items have no label.
    """
    results = known_results(selection)
    shares = {name: _shares(results, name, level) for name in items.labels}
    gaps = {
        name: max(own.values()) - min(own.values())
        for name, own in shares.items()
        if len(own) == len(selection.arms)
    }
    return max(gaps, key=lambda name: gaps[name]) if gaps else next(iter(items.labels), "")
