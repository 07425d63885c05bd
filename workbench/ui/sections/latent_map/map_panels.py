"""The maps of both arms and the teacher, and the chosen items lit up in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.linked_maps import (
    MOST_POINTS,
    Colouring,
    highlight_figure,
    maps_figure,
    rows_of,
)
from analyses.maps.latent_map import LatentMapConfig
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.opened_finding import replayed_rows
from workbench.ui.kit.theme import theme
from workbench.ui.sections.latent_map.map_choice import MOVED, TRUST
from workbench.ui.sections.latent_map.stored_maps import is_drawn, maps_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.latent_map.map_choice import MapChoice
    from workbench.ui.sections.latent_map.stored_maps import Maps

LASSO = "_lasso"


def draw_or_stop(choice: MapChoice) -> Maps:
    """The stored maps; UMAP, which takes a while, is drawn when asked for."""
    config = LatentMapConfig(method="umap" if choice.method == "umap" else "pca")
    if choice.method == "umap" and not is_drawn(choice.key, config):
        st.info("UMAP bends the space to keep neighbours together. It takes about half a minute, "
                "once.")  # fmt: skip
        if not st.button("Draw it", type="primary"):
            st.stop()
    maps = maps_of(choice.key, config, choice.items.spaces)
    if maps.notice:
        st.warning(maps.notice)
    return maps


def show_maps(selection: Selection, choice: MapChoice, maps: Maps) -> list[int]:
    """Draw every space; returns the rows that are chosen by lasso, search or a finding."""
    items = choice.items
    drawn = maps_figure(
        maps.coords, _titles(choice, maps), items.hover, _colouring(choice, maps), theme=theme()
    )
    count = len(items.hover)
    sampled = f" {count:,} items: a sample of {MOST_POINTS:,} over the density of all."
    state = show_figure(
        drawn.figure,
        f"map-{choice.level}",
        caption="The same words (or texts) in each arm's space and in the teacher's. It opens on "
        "the colour whose neighbours differ most between the arms. *Trust*: how far neighbours on "
        "the map are neighbours in the space, 1 = all; *alike*: share of neighbours in the space, "
        "of other words, that have the same colour. Draw a lasso in any panel: its items light up "
        "in all of them below. Axes have no unit." + (sampled if count > MOST_POINTS else ""),
        table=lambda: _coordinates(choice, maps),
        on_select="rerun",
        selection_mode=("box", "lasso"),
    )
    lassoed = rows_of(state.selection.points, drawn) if state else []
    return _chosen(selection, choice, lassoed)


def _chosen(selection: Selection, choice: MapChoice, lassoed: list[int]) -> list[int]:
    """A selection is gone when its figure changes, so its rows are kept as soon as they arrive."""
    memory = st.session_state.setdefault(LASSO, {})
    replayed = replayed_rows(selection, choice.level, len(choice.items.names))
    if lassoed or replayed:
        memory[choice.key] = lassoed or replayed
    if choice.search and not choice.found:
        st.info("Nothing has this.", icon=":material/search_off:")
    return sorted({*memory.get(choice.key, []), *choice.found})


def _colouring(choice: MapChoice, maps: Maps) -> Colouring:
    if choice.colour == TRUST:
        return Colouring(name="trustworthiness", values=maps.trust)
    if choice.colour == MOVED and choice.moved is not None:
        return Colouring(name="displacement", values=dict.fromkeys(maps.coords, choice.moved))
    codes, classes = choice.items.labels[choice.colour]
    return Colouring(name=choice.colour, codes=codes, classes=classes)


def _titles(choice: MapChoice, maps: Maps) -> dict[str, str]:
    """Each space with its trust, and how far its neighbours share the colour."""
    titles = {}
    for space in maps.coords:
        trust, alike = maps.mean_trust[space], choice.alike.get(space)
        known = [] if trust is None else [f"trust {trust:.2f}"]
        known += [] if alike is None else [f"alike {alike:.0%}"]
        titles[space] = ", ".join([space, *known])
    return titles


def _coordinates(choice: MapChoice, maps: Maps) -> pd.DataFrame:
    import pandas as pd

    columns = {f"{s} {a}": xy[:, i] for s, xy in maps.coords.items() for i, a in enumerate("xy")}
    return pd.DataFrame({"item": choice.items.names} | columns)


def show_chosen(choice: MapChoice, maps: Maps, chosen: list[int]) -> None:
    """The chosen items in every space, over the others in grey."""
    if not chosen:
        return
    memory = st.session_state.setdefault(LASSO, {})
    left, right = st.columns([0.8, 0.2], vertical_alignment="bottom")
    left.subheader(f"{len(chosen)} chosen")
    if memory.get(choice.key) and right.button("Forget the lasso"):
        memory.pop(choice.key, None)
        st.rerun()
    show_figure(
        highlight_figure(
            maps.coords, _titles(choice, maps), choice.items.hover, chosen, theme=theme()
        ),
        f"chosen-{choice.level}",
        caption="The chosen items in every space. A group that stays together keeps its meaning; "
        "one that scatters was held together by something the other space does not know.",
    )
