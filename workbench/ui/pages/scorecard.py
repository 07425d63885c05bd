"""Scorecard: every probe against generation over all runs; which of them foretells anything."""

import pandas as pd
import streamlit as st
from workbench.ui.foretelling import (
    estimate_figure,
    run_frame,
    score_names,
    scorecard_frame,
    scorecard_rows,
)

from workbench.findings.shown import arm_numbers, foretelling_numbers
from workbench.foretelling import MIN_ARMS
from workbench.ui.empty import selection_or_stop
from workbench.ui.engine import comparison_of
from workbench.ui.exhibits import show_figure, show_table
from workbench.ui.guard import guarded
from workbench.ui.keeping import keep_this
from workbench.ui.look import theme

st.title("Scorecard")
st.caption(
    "Which number, measured on the autoencoder alone, tells beforehand how well the generator will "
    "write? Reconstruction goes through the same mill as every probe. Seeds of one arm are not "
    "independent: arms are resampled whole."
)
selection = selection_or_stop()
frame = run_frame()
arms = frame[["study", "arm"]].drop_duplicates() if len(frame) else frame
if not len(frame):
    st.info("No run is compared yet.", icon=":material/hourglass_top:")
    st.stop()
names = score_names(frame)
preferred = next((n for n in names if ".mauve[" in n), names[0])
score = st.selectbox(
    "Generation score", names, index=names.index(preferred), key="score", bind="query-params"
)

rows = []
if len(arms) < MIN_ARMS:
    st.info(
        f"{len(arms)} arms are compared so far and {MIN_ARMS} are needed: with fewer, every order "
        "of arms is likely by chance. Train more arms (other latent widths, teachers, noise) as "
        "studies of their own; all runs here count together.",
        icon=":material/groups:",
    )
else:
    with guarded("The scorecard"):
        rows = [row for row in scorecard_rows(frame) if row.score == score]
        show_figure(
            estimate_figure(rows, theme=theme()),
            "foretelling",
            caption="Spearman correlation with the score over runs; 1 = the better by this measure "
            "always wrote better. Intervals that hold zero foretell nothing. Diamonds are trivial "
            "baselines: a probe that does not beat them is not worth its cost.",
            table=lambda: scorecard_frame(rows),
        )
        show_table(
            scorecard_frame(rows), "scorecard",
            caption="Regret: how much worse the arm that the measure picks writes, 0 = it picks "
            "the best, 1 = as a random pick. Partial: what is left once reconstruction is known.",
        )  # fmt: skip

st.subheader("The runs behind it")
measures = [name for name in frame if name not in ("study", "arm", "seed")]
show_table(
    pd.concat([frame[["study", "arm", "seed"]], frame[measures].round(4)], axis=1),
    "runs-behind",
    caption="One row a run: every probe and every score.",
)

keep_this(
    selection,
    "scorecard",
    lambda: [
        *arm_numbers(comparison_of(selection.study) or {"arms": {}}, selection.arms, [score]),
        *foretelling_numbers(rows, sorted(set(frame["study"]))),
    ],
    shown={"score": score},
)
