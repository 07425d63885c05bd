"""The form of the page Generate: prompts, solver, guidance and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.guidance_slider import guidance_slider
from workbench.ui.sections.generate.continuations import MOST_PROMPTS, WritingView

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

SAME_TEXTS = (
    "The same prompt, seed and settings write the same text in Playback and with `workbench "
    "sample`. The study's stored samples were drawn many at a time, with other fresh noise on the "
    "way, and so read differently."
)


def choose_writing(selection: Selection) -> WritingView:
    """What is asked; all of it is in the address."""
    from models.samplers import SAMPLERS

    sampling = selection.study.config.base.sampling
    with st.form("settings"):
        typed = st.text_area(
            "Prompts, one a line; empty takes held-out ones", key="prompts", bind="query-params",
            max_chars=4000, placeholder="One night, Anna the baker brought her white drum to the "
            "cave.",
        )  # fmt: skip
        one, two, three, four, five = st.columns(5)
        count = one.slider("Held-out prompts", 1, MOST_PROMPTS, 4, key="count", bind="query-params")
        sampler = two.selectbox("Sampler", list(SAMPLERS), key="sampler", bind="query-params")
        steps = three.slider(
            "Steps", 1, 200, min(200, sampling.sampler.num_steps), key="steps", bind="query-params"
        )
        guidance = guidance_slider(four, sampling)
        seed = five.number_input("Noise seed", 0, 9999, 0, key="noise", bind="query-params")
        st.form_submit_button("Write", type="primary", icon=":material/edit_note:", help=SAME_TEXTS)
    lines = [line.strip() for line in typed.split("\n") if line.strip()]
    return WritingView(
        prompts=tuple(lines[:MOST_PROMPTS]), count=int(count), sampler=sampler,
        num_steps=int(steps), guidance_scale=guidance, seed=int(seed),
    )  # fmt: skip
