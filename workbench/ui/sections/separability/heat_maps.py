"""What can be read when, over the sampler's steps, and where, over the flow's layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.twin_heat import twin_heat_figure
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme
from workbench.ui.sections.separability.probe_tables import swept_grid
from workbench.ui.sections.shared.stored_results import Results, family, missing_note

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


@dataclass(frozen=True)
class Sweep:
    """A probe repeated over places: its heading, the places' axis, and what to look for."""

    title: str
    x: str
    caption: str


SWEEPS: Mapping[str, Sweep] = {
    "denoising": Sweep(
        "Over the sampler's steps",
        "flow time t, 0 = noise",
        "When the prompt's labels become readable in the text that is being made. A label that "
        "appears late is decided late; one that never appears was lost on the way.",
    ),
    "flow_layers": Sweep(
        "Over the flow's layers",
        "block of the diffusion transformer, at t = 1/2",
        "Where in the network a word's label can be read. The last column is its answer.",
    ),
}


def show_heat_maps(selection: Selection, results: Mapping[str, Results]) -> None:
    """A heat map for each sweep that both arms have; the others are named once."""
    missing = []
    for prefix, sweep in SWEEPS.items():
        grids = [swept_grid(family(results[arm], f"{prefix}.")) for arm in selection.arms]
        if len(grids) < 2 or not all(grids):
            missing.append(prefix)
            continue
        st.subheader(sweep.title)
        titles = (selection.first, selection.second)
        figure = kept_figure(
            twin_heat_figure, grids[0], grids[1], titles, x=sweep.x, value="accuracy", theme=theme()
        )
        show_figure(figure, prefix, caption=sweep.caption)
    if missing:
        with st.expander("Over the sampler's steps and the flow's layers: how to measure it"):
            missing_note(selection, *missing)
