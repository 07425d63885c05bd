"""Scorecard: every probe against generation over all runs; which of them foretells anything."""

import streamlit as st

from workbench.report.findings.shown import arm_numbers, foretelling_numbers
from workbench.ui.kit.cached import comparison_of
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.scorecard.foretelling import (
    scorecard_or_stop,
    show_foretelling,
    show_runs,
)
from workbench.ui.sections.shared.empty_state import selection_or_stop

st.title("Scorecard")
st.caption(
    "Which number, measured on the autoencoder alone, tells beforehand how well the generator will "
    "write?"
)
selection = selection_or_stop()
card = scorecard_or_stop(selection.study)
score, rows = show_foretelling(card)
show_runs(card)

keep_this(
    selection,
    "scorecard",
    lambda: [
        *arm_numbers(comparison_of(selection.study) or {"arms": {}}, selection.arms, [score]),
        *foretelling_numbers(rows, card.names),
    ],
    shown={"score": score},
)
