"""Latent map: the twins and their teacher side by side, one alignment, one selection."""

import streamlit as st

from workbench.report.findings import selected_rows
from workbench.report.findings.shown import displacement_numbers, trust_numbers
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.latent_map.map_choice import choose_map
from workbench.ui.sections.latent_map.map_panels import show_maps
from workbench.ui.sections.latent_map.moved_items import show_moved
from workbench.ui.sections.latent_map.stored_maps import drawn_or_stop
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop

st.title("Latent map")
selection = selection_or_stop()
require_runs(selection, bundles=True)
choice = choose_map(selection)
maps = drawn_or_stop(choice.key, choice.method, choice.items.spaces)
chosen = show_maps(selection, choice, maps)
listed = show_moved(choice, chosen)

level, items = choice.level, choice.items
where = (selection.arms, selection.seed, level)
keep_this(
    selection,
    "latent_map",
    lambda: [
        *trust_numbers(maps.mean_trust, *where, choice.method),
        *displacement_numbers(listed, *where),
    ],
    chosen=lambda: (
        selected_rows(level, chosen, [items.hover[row] for row in chosen]) if chosen else None
    ),
    shown={"level": level, "method": choice.method, "colour": choice.colour},
)
