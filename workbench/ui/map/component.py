"""The map on a page: mounted, asked what was chosen, answered with neighbours of the full space.

Points travel once. What is chosen lights up in the browser; the page's tables and its link follow
in a rerun that sends no point again. Without WebGL the browser says so and a figure stands in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.linked_maps import maps_figure
from workbench.probes.spaces import nearest_items
from workbench.ui.kit.exhibits import caption_with_files
from workbench.ui.kit.theme import theme
from workbench.ui.map.figure import show_as_figure
from workbench.ui.map.look import (
    ASKED,
    IN_THE_LINK,
    Look,
    asked_of_link,
    chosen_rows,
    look_of_link,
)
from workbench.ui.map.packing import pack

if TYPE_CHECKING:
    from workbench.probes.spaces import Items
    from workbench.ui.map.view import MapView

FOLDER = Path(__file__).parent
NO_WEBGL, OPENED, LATEST, ANSWERED = "_no_webgl", "_opened_look", "_latest_look", "_asked_row"
NUM_NEIGHBOURS = 8
LEAST_HEIGHT = 420

_map = st.components.v2.component(
    "latent_map", js=(FOLDER / "build/map.js").read_text(encoding="utf-8")
)
_reply = st.components.v2.component(
    "latent_map_reply", js=(FOLDER / "reply.js").read_text(encoding="utf-8")
)


def show_map(view: MapView, caption: str, *, replayed: list[int] | None = None) -> list[int]:
    """Draw the maps with their files; returns the chosen rows.

    Args:
        view: what is shown.
        caption: what to look at.
        replayed: rows that a reopened finding chose.
    """
    if st.session_state.get(NO_WEBGL):
        return show_as_figure(view, caption, replayed)
    name = f"map-{view.key}"
    opened = _opening_look(view, name, replayed)
    state = _map(
        key=name,
        data=_packed(view.key, view.colouring.name, theme(), repr(view.titles), opened, view),
        on_look_change=_nothing,
        on_asked_change=_nothing,
        on_webgl_change=_nothing,
    )
    if state.get("webgl") == "none":
        st.session_state[NO_WEBGL] = True
        st.rerun()
    look = Look.from_browser(state["look"]) if state.get("look") else opened
    st.session_state.setdefault(LATEST, {})[view.key] = look
    asked = _asked(view, state)
    _write_link(look, asked if asked != view.first else None)
    _reply(key=f"reply-{view.key}", data=_answer(view, asked))
    with caption_with_files(caption):
        _offer_files(view)
    return chosen_rows(look, view)


def _offer_files(view: MapView) -> None:
    st.download_button(
        "CSV: the numbers", lambda: view.table().to_csv(index=False),
        file_name=f"{view.file}.csv", mime="text/csv", on_click="ignore",
    )  # fmt: skip
    st.download_button(
        "HTML: a figure that works offline",
        lambda: maps_figure(
            view.coords, view.titles, view.items.hover, view.colouring, theme=theme()
        ).figure.to_html(include_plotlyjs=True, full_html=True),
        file_name=f"{view.file}.html", mime="text/html", on_click="ignore",
    )  # fmt: skip


def _nothing() -> None:
    """A component reports a state only where somebody listens."""


def _opening_look(view: MapView, name: str, replayed: list[int] | None) -> Look:
    """What the component opens on; it stays, for other bytes would send all points again."""
    opened = st.session_state.setdefault(OPENED, {})
    latest = st.session_state.setdefault(LATEST, {})
    if replayed or view.key not in opened:
        is_first = not opened  # a link speaks of the map that the session opens on
        link = st.query_params.to_dict() if is_first else {}
        look, ignored = look_of_link(link, view)
        if ignored:
            st.warning(f"The link's {' and '.join(ignored)} cannot be read here: ignored.")
        if replayed and set(replayed) != set(chosen_rows(look, view)):
            look = Look(points=tuple(replayed))
        opened[view.key] = look
    elif not (st.session_state.get(name) or {}).get("look"):
        opened[view.key] = latest[view.key]  # drawn anew after another page
    return opened[view.key]


@st.cache_resource(max_entries=8, show_spinner=False)
def _packed(key: str, colour: str, theme: Any, titles: str, look: Look, _view: MapView) -> bytes:
    return pack(_view, look, theme)


def _asked(view: MapView, state: Mapping[str, Any]) -> int | None:
    """The row whose neighbours are wanted: clicked, in the link, or the map's own first."""
    remembered = st.session_state.setdefault(ANSWERED, {})
    clicked = state.get("asked")
    if clicked is not None and 0 <= int(clicked) < len(view.items.names):
        remembered[view.key] = int(clicked)
    elif view.key not in remembered:
        link = st.query_params.to_dict() if not remembered else {}
        asked = asked_of_link(link, len(view.items.names))
        remembered[view.key] = view.first if asked is None else asked
    return remembered[view.key]


def _answer(view: MapView, asked: int | None) -> dict[str, Any]:
    """The nearest items in each space itself, by exact search."""
    near = {} if asked is None else _near(view.key, asked, view.other_words, view.items)
    return {"key": view.key, "asked": asked, "near": near}


@st.cache_data(max_entries=64, show_spinner=False)
def _near(key: str, asked: int, other_words: bool, _items: Items) -> dict[str, list[list[float]]]:
    """Space -> rows of the nearest items with their distances."""
    near = {}
    for space, rows in _items.spaces.items():
        found = nearest_items(
            _items, space, rows[asked], NUM_NEIGHBOURS, own=asked, other_words=other_words
        )
        near[space] = [
            [int(row), round(float(distance), 3)]
            for row, distance in zip(found.rows, found.distances, strict=True)
        ]
    return near


def _write_link(look: Look, asked: int | None) -> None:
    """Let the address say what is chosen."""
    wanted = look.to_link()
    if asked is not None:
        wanted[ASKED] = str(asked)
    for name in IN_THE_LINK:
        if name in wanted and st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
        elif name not in wanted and name in st.query_params:
            del st.query_params[name]
