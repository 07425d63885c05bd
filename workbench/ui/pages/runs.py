"""Runs: what is on disk and how far it is; single stages, differences, logs, files, own vectors."""

import streamlit as st

from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.selection import current_selection
from workbench.ui.sections.runs.differences import show_differences
from workbench.ui.sections.runs.files_to_take import offer_files
from workbench.ui.sections.runs.kept_findings import show_findings
from workbench.ui.sections.runs.on_disk import show_on_disk
from workbench.ui.sections.runs.own_vectors import show_own_vectors
from workbench.ui.sections.runs.stage_controls import show_stages
from workbench.ui.sections.runs.training_logs import show_logs

OF_ALL = {
    "On disk": show_on_disk,
    "Findings": show_findings,
    "Your own vectors": show_own_vectors,
}
OF_ONE_STUDY = {
    "Stages": show_stages,
    "Differences": show_differences,
    "Logs": show_logs,
    "Files": offer_files,
}
SECTIONS = ["On disk", *OF_ONE_STUDY, "Findings", "Your own vectors"]

st.title("Runs")
first = SECTIONS[0]
section = (
    st.segmented_control("Section", SECTIONS, default=first, key="section", bind="query-params")
    or first
)
selection = current_selection()
with guarded(section):
    if section in OF_ALL:
        OF_ALL[section]()
    elif selection is None:
        st.info("No study opens yet.")
    else:
        OF_ONE_STUDY[section](selection)
