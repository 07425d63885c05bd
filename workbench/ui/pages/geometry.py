"""Geometry: an overview of what parts the arms, then topic by topic, then every number."""

import streamlit as st

from workbench.report.findings.shown import probe_numbers
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.geometry.drawing import ProbedArms
from workbench.ui.sections.geometry.every_number import every_result
from workbench.ui.sections.geometry.overview import show_overview
from workbench.ui.sections.geometry.topics import PREFIXES, SECTIONS
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop
from workbench.ui.sections.shared.stored_results import results_of

OVERVIEW = "Overview"

st.title("Geometry")
st.caption("The shape of each arm's cloud of latents.")
selection = selection_or_stop()
require_runs(selection, "latents", bundles=True)
probed = ProbedArms(selection=selection, results=results_of(selection))
stored = [name for name, section in SECTIONS.items() if section.is_stored(probed)]
choices = [OVERVIEW, *stored, "Every number"]
chosen = (
    st.segmented_control("What", choices, default=choices[0], key="what", bind="query-params")
    or choices[0]
)

with guarded(chosen):
    if chosen == OVERVIEW:
        show_overview(selection, probed.results, PREFIXES)
    elif chosen == "Every number":
        show_table(
            every_result(probed.results), "every-result",
            caption="All stored probes. Chance is what a space without the property would score.",
        )  # fmt: skip
    else:
        SECTIONS[chosen].show(probed)
absent = [name for name in SECTIONS if name not in stored]
if absent:
    st.caption(f"Not measured for these arms yet: {', '.join(absent)}.")

section = SECTIONS.get(chosen)
prefixes = PREFIXES if chosen == OVERVIEW else ("",)
course = st.session_state.get("course") if chosen == "Over training" else None
keep_this(
    selection,
    "geometry",
    lambda: (
        section.kept(probed) if section else probe_numbers(probed.results, selection.seed, prefixes)
    ),
    shown={"what": chosen, **({"course": course} if course else {})},
)
