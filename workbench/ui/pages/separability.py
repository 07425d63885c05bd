"""Separability: what a straight cut reads off the latents, by label and class, and when."""

import streamlit as st

from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.separability.heat_maps import show_heat_maps
from workbench.ui.sections.separability.label_over_training import (
    show_label_over_training,
    shown_numbers,
)
from workbench.ui.sections.separability.linear_probes import (
    linear_probes_or_stop,
    show_classes,
    show_probes,
)
from workbench.ui.sections.shared.empty_state import selection_or_stop
from workbench.ui.sections.shared.stored_results import results_of

st.title("Separability")
st.caption(
    "A linear probe is the simplest reader there is: what it finds lies open in the space. Look at "
    "the distance from chance, and from the word alone (a probe that only knows which words there "
    "are): only what lies beyond that mark must come from context."
)
selection = selection_or_stop()
results = results_of(selection)
separable = linear_probes_or_stop(selection, results)
show_probes(selection, separable)
label = show_classes(selection, separable)
show_label_over_training(selection, label)
show_heat_maps(selection, results)

keep_this(
    selection,
    "separability",
    lambda: shown_numbers(selection, results, label),
    shown={"label": label},
)
