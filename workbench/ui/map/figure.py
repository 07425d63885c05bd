"""The map where the browser has no WebGL: a figure of a sample, with search and lasso."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.linked_maps import MOST_POINTS, maps_figure, rows_of
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.theme import theme
from workbench.ui.map.look import Look, chosen_rows

if TYPE_CHECKING:
    from workbench.ui.map.view import MapView

LASSOED = "_lassoed_rows"


def show_as_figure(view: MapView, caption: str, replayed: list[int] | None) -> list[int]:
    """Draw the maps as one figure; returns the chosen rows."""
    memory = st.session_state.setdefault(LASSOED, {})
    if replayed:
        memory[view.key] = tuple(replayed)
    find = st.text_input("Find", key="find", bind="query-params", max_chars=80,
                         placeholder=view.hint)  # fmt: skip
    chosen = chosen_rows(Look(find=find or "", points=memory.get(view.key, ())), view)
    if find and not chosen:
        st.info("Nothing has this.", icon=":material/search_off:")
    drawn = maps_figure(
        view.coords, view.titles, view.items.hover, view.colouring, theme=theme(), chosen=chosen
    )
    count = len(view.items.hover)
    state = show_figure(
        drawn.figure,
        view.file,
        caption="This browser has no WebGL, so the map is a plain figure"
        + (f" of {MOST_POINTS:,} of {count:,} items" if count > MOST_POINTS else "")
        + f". Draw a lasso in any panel: its items are ringed in all of them. {caption}",
        table=view.table,
        on_select="rerun",
        selection_mode=("box", "lasso"),
    )
    lassoed = rows_of(state.selection.points, drawn, len(view.coords)) if state else []
    if lassoed and tuple(lassoed) != memory.get(view.key):
        memory[view.key] = tuple(lassoed)
        st.rerun()
    if memory.get(view.key) and st.button("Forget the lasso"):
        memory.pop(view.key)
        st.rerun()
    return chosen
