"""New study: choose corpus, teacher, preset, arms and seeds; a process of its own does the rest."""

import streamlit as st

from workbench.store.paths import runs_directory
from workbench.ui.kit.error_card import guarded
from workbench.ui.sections.new_study.cost_estimate import show_cost
from workbench.ui.sections.new_study.study_form import fill_in
from workbench.ui.sections.new_study.study_request import study_arguments, terminal_command
from workbench.ui.sections.shared.job_cards import start_job, watch_jobs

st.title("New study")
st.caption(
    "A study trains the same autoencoder once for each arm, the same diffusion model on each, and "
    "compares what they write. It runs in a process of its own: close the browser, come back, it "
    "is still there. One study runs at a time; others wait."
)
filled = fill_in()
with guarded("This study"):
    request = filled.request()
    config, arguments = study_arguments(request)
    show_cost(config)
    if st.button("Start", type="primary", icon=":material/rocket_launch:"):
        title = f"{request.name} ({request.preset})"
        start_job(["study", *arguments], title, runs_directory() / request.name)
    with st.popover("The same from a terminal", type="tertiary"):
        st.code(terminal_command(arguments), language="bash")

watch_jobs()
