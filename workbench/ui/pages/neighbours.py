"""Neighbours: one item, and who stands next to it in each space, measured in the space itself."""

import streamlit as st

from workbench.report.findings import selected_rows
from workbench.report.findings.shown import neighbour_numbers
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.neighbours.asked_item import ask
from workbench.ui.sections.neighbours.disagreements import show_disagreements
from workbench.ui.sections.neighbours.neighbour_lists import show_neighbours
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop

st.title("Neighbours")
st.caption("Which words, or texts, lie next to one in each space: what a near miss would become.")
selection = selection_or_stop()
require_runs(selection, bundles=True)
asked = ask(selection)
found = show_neighbours(selection, asked)
show_disagreements(selection, asked)

own, level = asked.own, asked.level
keep_this(
    selection,
    "neighbours",
    lambda: neighbour_numbers(
        found, arms=selection.arms, seed=selection.seed, level=level, row=own, typed=asked.typed,
        count=asked.count, other_words=asked.other_words,
    ),
    chosen=lambda: None if own is None else selected_rows(level, [own], [asked.items.hover[own]]),
    shown={"level": level, "k": asked.count},
)  # fmt: skip
