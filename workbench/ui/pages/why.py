"""Why reconstruction misleads: runs as points, the causes beside them, and a pair to read."""

import streamlit as st

from workbench.report.findings import Number
from workbench.report.findings.shown import arm_numbers, correlation_numbers, probe_numbers
from workbench.score.directions import ACCURACY
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.shared.empty_state import comparison_or_stop, selection_or_stop
from workbench.ui.sections.shared.predict_first import generator_lesson, predict_first
from workbench.ui.sections.shared.stored_results import results_of
from workbench.ui.sections.why.causes_table import CAUSES, show_causes
from workbench.ui.sections.why.end_points import show_end_points
from workbench.ui.sections.why.flow_loss import show_flow_loss
from workbench.ui.sections.why.gap_over_training import show_gap
from workbench.ui.sections.why.near_miss import show_near_miss
from workbench.ui.sections.why.pair_to_read import show_pair
from workbench.ui.sections.why.reconstruction_scatter import choose_score, show_scatter

HEIGHT = 280  # of both figures
MORE = ("What else differs", "The gap over training", "The flow's loss")

st.title("Why reconstruction misleads")
selection = selection_or_stop()
comparison = comparison_or_stop(selection)
st.markdown(
    "Reconstruction tests the decoder on points of **its own encoder**. A generator hands it "
    "**others**: which word lies there?"
)
controls = st.container(horizontal=True, vertical_alignment="bottom")
score = choose_score(comparison, controls)
if not predict_first(
    "why",
    lambda: generator_lesson(comparison, selection.first, selection.second, score, selection.seed),
    controls,
):
    st.stop()

results = results_of(selection)
left, right = st.columns(2)
with left:
    scatter = show_scatter(selection.study, score, controls, HEIGHT)
with right:
    show_end_points(selection, results, HEIGHT)
show_near_miss(selection)
pair = show_pair(selection, score)
more = st.segmented_control("More", MORE, key="more", bind="query-params")
if more == "What else differs":
    show_causes(selection, results)
elif more == "The gap over training":
    show_gap(selection, score)
elif more == "The flow's loss":
    show_flow_loss(selection)


def shown_numbers() -> list[Number]:
    """Scores of the arms, the correlation over runs, causes, and the pair that is read."""
    numbers = arm_numbers(comparison, selection.arms, [ACCURACY, score])
    numbers += correlation_numbers(scatter.correlated, score, list(scatter.points))
    numbers += probe_numbers(results, selection.seed, (*CAUSES, "trajectory.off_manifold"))
    return numbers + (pair.numbers(selection) if pair else [])


keep_this(
    selection,
    "why",
    shown_numbers,
    chosen=lambda: pair.selected() if pair else None,
    shown={"score": score},
)
