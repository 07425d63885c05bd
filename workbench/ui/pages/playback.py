"""Playback: one prompt, one noise, both arms, one clock; and a branch that changes one thing."""

import streamlit as st

from workbench.report.findings import selected_rows
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.sections.playback.branch_choice import choose_branch
from workbench.ui.sections.playback.followed_arms import follow_arms, follow_generators
from workbench.ui.sections.playback.player_frame import prompt_of, show_player
from workbench.ui.sections.playback.view_choice import choose_view
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop
from workbench.ui.sections.shared.predict_first import predict_first, settling_lesson

st.title("Playback")
selection = selection_or_stop()
runs = require_runs(selection, bundles=True)
player = st.container()
with st.expander("Prompt, noise, solver, and a branch", key="controls"):
    view = choose_view(selection)
    branch = choose_branch(selection, view)
with player:
    followed = follow_arms(runs, view, branch)
    if not followed.lanes:
        st.stop()
    follow_generators(selection, followed)
    prompt = prompt_of(selection, followed)
    if not predict_first("playback", lambda: settling_lesson(followed.bases, prompt)):
        st.stop()
    show_player(selection, followed)

keep_this(
    selection,
    "playback",
    lambda: followed.numbers(selection.seed),
    chosen=lambda: None if view.typed else selected_rows("prompts", [view.row], [prompt]),
    shown={
        "sampler": view.sampler, "steps": view.num_steps, "guidance": view.guidance_scale,
        "noise": view.seed,
    },
)  # fmt: skip
