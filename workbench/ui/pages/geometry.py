"""Geometry: spectrum, scale, floors, basins, what lies between texts; and every stored number."""

import streamlit as st

from workbench.report.findings.shown import probe_numbers
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.geometry.drawing import ProbedArms
from workbench.ui.sections.geometry.every_number import every_result
from workbench.ui.sections.geometry.topics import SECTIONS
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop
from workbench.ui.sections.shared.stored_results import results_of

st.title("Geometry")
st.caption(
    "The shape of each arm's cloud of latents: how wide, how even, how forgiving, and whether the "
    "room between two texts is still text. Look for a picture in which the arms part although they "
    "read back equally well; it would surprise if there were none."
)
selection = selection_or_stop()
require_runs(selection, "latents", bundles=True)
probed = ProbedArms(selection=selection, results=results_of(selection))
stored = [name for name, section in SECTIONS.items() if section.is_stored(probed)]
choices = [*stored, "Every number"]
chosen = (
    st.segmented_control("What", choices, default=choices[0], key="what", bind="query-params")
    or choices[0]
)

with guarded(chosen):
    if chosen == "Every number":
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
course = st.session_state.get("course") if chosen == "Over training" else None
keep_this(
    selection,
    "geometry",
    lambda: (
        section.kept(probed) if section else probe_numbers(probed.results, selection.seed, ("",))
    ),
    shown={"what": chosen, **({"course": course} if course else {})},
)
