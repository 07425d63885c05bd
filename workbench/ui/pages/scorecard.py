"""Scorecard: every probe against generation over all runs; which of them foretells anything."""

import pandas as pd
import streamlit as st

from analyses.figures.foretelling import foretelling_figure
from workbench.report.findings.shown import arm_numbers, foretelling_numbers
from workbench.report.predictors import MIN_ARMS
from workbench.report.scorecard import table_rows
from workbench.ui.kit.cached import comparison_of
from workbench.ui.kit.empty_state import selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.kit.theme import theme
from workbench.ui.sections.scorecards import finished_keys, scorecard_of

st.title("Scorecard")
st.caption(
    "Which number, measured on the autoencoder alone, tells beforehand how well the generator will "
    "write? Reconstruction goes through the same mill as every probe. Seeds of one arm are not "
    "independent: arms are resampled whole."
)
selection = selection_or_stop()
keys = finished_keys()
if not keys:
    st.info("No run is compared yet.", icon=":material/hourglass_top:")
    st.stop()
card = None
with guarded("The scorecard"):
    card = scorecard_of(keys)
if card is None:
    st.stop()
names = card.names
score = st.selectbox("Generation score", list(card.table.scores), key="score", bind="query-params")
num_arms = len(set(card.table.arms))
rows = []
if num_arms < MIN_ARMS:
    st.info(
        f"{num_arms} arms are compared so far and {MIN_ARMS} are needed: with fewer, every order "
        "of arms is likely by chance. Train more arms (other latent widths, teachers, noise) as "
        "studies of their own; all runs here count together.",
        icon=":material/groups:",
    )
else:
    rows = [row for row in card.rows if row.score == score]
    show_figure(
        foretelling_figure(rows, theme=theme()),
        "foretelling",
        caption="Spearman correlation with the score over runs; 1 = the better by this measure "
        "(or the larger, where it has no better end) always wrote better. Intervals that hold zero "
        "foretell nothing. Diamonds are trivial baselines: a probe that does not beat them is not "
        "worth its cost.",
        table=lambda: pd.DataFrame([row.flat() for row in rows]),
    )
    show_table(
        pd.DataFrame(table_rows(rows, score)), "scorecard",
        caption="Regret: how much worse the arm that the measure picks writes, 0 = it picks "
        "the best, 1 = as a random pick. Partial: what is left once reconstruction is known. "
        "p (Holm): chance of so strong a correlation by luck, corrected for all rows.",
    )  # fmt: skip

st.subheader("The runs behind it")
show_table(card.runs.round(4), "runs-behind", caption="One row a run: every probe and every score.")

keep_this(
    selection,
    "scorecard",
    lambda: [
        *arm_numbers(comparison_of(selection.study) or {"arms": {}}, selection.arms, [score]),
        *foretelling_numbers(rows, names),
    ],
    shown={"score": score},
)
