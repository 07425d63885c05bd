"""Runs: what is on disk and how far it is; single stages, differences, logs, files, own vectors."""

import pandas as pd
import streamlit as st

from workbench.machine.jobs import list_jobs
from workbench.study.listing import list_states
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import inline
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.keep_finding import show_findings
from workbench.ui.kit.sidebar import current_selection
from workbench.ui.kit.theme import theme
from workbench.ui.sections.job_cards import WORDS
from workbench.ui.sections.own_vectors import show_own_vectors
from workbench.ui.sections.run_details import (
    difference_frame,
    log_figure,
    offer_files,
    stage_names,
    undefined_sentence,
)
from workbench.ui.sections.stage_controls import show_stages

SECTIONS = ["On disk", "Stages", "Differences", "Logs", "Files", "Findings", "Your own vectors"]
SHARES = (
    " `grad_share` says how much of the gradient at the encoder's last states each loss brings. "
    "Alignment has done its work when its share falls while `repa_cosine` no longer rises; where "
    "`log_snr` falls, the posterior's noise is swallowing the meaning."
)

st.title("Runs")
section = (
    st.segmented_control(
        "Section", SECTIONS, default=SECTIONS[0], key="section", bind="query-params"
    )
    or SECTIONS[0]
)
selection = current_selection()

if section == "On disk":
    states = list_states()
    if states:
        show_table(
            pd.DataFrame(states), "states",
            caption="Found by looking into the runs directory. A damaged run stands here with the "
            "reason and disturbs no other.",
        )  # fmt: skip
    else:
        st.info("The runs directory is empty. Start a study on the page New study.")
elif section == "Findings":
    show_findings()
elif section == "Your own vectors":
    show_own_vectors()
elif selection is None:
    st.info("No study opens yet.")
elif section == "Stages":
    with guarded("The stages"):
        show_stages(selection)
elif section == "Differences":
    with guarded("The differences"):
        frame = difference_frame(selection)
        if len(frame):
            show_table(
                frame,
                "differences",
                caption="Every setting that is not the same in the two arms. Twins should differ "
                "in the one thing that is studied.",
            )
        else:
            st.info("Choose two arms of a study in the sidebar.")
elif section == "Logs":
    with guarded("The logs"):
        stages = stage_names(selection)
        if stages:
            stage = (
                st.segmented_control("Stage", stages, default=stages[0], key="stage") or stages[0]
            )
            figure, table = log_figure(selection, stage, theme=theme())
            show_figure(
                figure, f"log-{stage}", table=lambda: table,
                caption="Training records. Compare shapes; levels of two spaces are not "
                "comparable except for `band_fraction` and `token_accuracy`."
                + (SHARES if stage == "vae" else "") + undefined_sentence(table),
            )  # fmt: skip
        else:
            st.info("Nothing is logged yet.")
    for job in reversed(list_jobs()[-8:]):
        with st.expander(f"{inline(job.title)} {WORDS[job.state][0]}", key=f"log-{job.name}"):
            st.code(job.log() or "(said nothing yet)", language=None)
else:
    with guarded("The files"):
        offer_files(selection)
