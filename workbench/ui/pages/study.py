"""Study: the arms side by side; what is equal, what is not, and what lies inside the noise."""

import streamlit as st

from workbench.report.findings.shown import arm_numbers, contrast_numbers
from workbench.report.ladder import headline_score
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.shared.empty_state import comparison_or_stop, selection_or_stop
from workbench.ui.sections.shared.predict_first import predict_first, writing_lesson
from workbench.ui.sections.study.every_number import (
    choose_family,
    show_contrasts,
    show_costs,
    show_scores,
)
from workbench.ui.sections.study.ladder import show_ladder
from workbench.ui.sections.study.score_tables import headline_metrics, metric_names
from workbench.ui.sections.study.story import (
    show_findings,
    show_other_headlines,
    show_story,
)
from workbench.ui.sections.study.why_it_differs import show_why

st.title("Study")
selection = selection_or_stop()
opening = st.container(horizontal=True, vertical_alignment="center")
opening.caption(
    "An autoencoder turns words into vectors (*latents*) and back; a diffusion model "
    "writes latents."
)
comparison = comparison_or_stop(selection)
if not predict_first(
    "study", lambda: writing_lesson(comparison, selection.first, selection.second), opening
):
    st.stop()

metrics = headline_metrics(comparison)
show_findings(selection, comparison)
show_story(comparison, metrics)
neighbours = show_why(selection, headline_score(comparison))
show_other_headlines(comparison, metrics)
show_ladder(comparison)
family = choose_family(comparison)
show_scores(comparison, family)
show_contrasts(comparison, family)
show_costs(comparison)

seen = [*metrics, *metric_names(comparison, family), *([neighbours] if neighbours else [])]
keep_this(
    selection,
    "study",
    lambda: [
        *arm_numbers(comparison, selection.arms, seen),
        *contrast_numbers(comparison, selection.arms, seen),
    ],
    shown={"family": family},
)
