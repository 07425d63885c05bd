"""The form of the page Playback: prompt, noise and solver, all of it in the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.sample.playback import PlaybackView
from workbench.ui.kit.cached import references_of
from workbench.ui.kit.guidance_slider import guidance_slider

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

PROMPT = "prompt"


def choose_view(selection: Selection) -> PlaybackView:
    """What is played."""
    from models.samplers import SAMPLERS

    sampling = selection.study.config.base.sampling
    row, typed = _choose_prompt(selection)
    first, second, third, fourth = st.columns(4)
    return PlaybackView(
        row=-1 if typed else row,
        typed=typed,
        sampler=first.selectbox("Sampler", list(SAMPLERS), key="sampler", bind="query-params"),
        num_steps=second.slider(
            "Steps", 4, 100, min(100, sampling.sampler.num_steps), key="steps", bind="query-params"
        ),
        guidance_scale=guidance_slider(third, sampling),
        seed=int(fourth.number_input(
            "Noise seed", 0, 9999, selection.seed, key="noise", bind="query-params"
        )),
    )  # fmt: skip


def _choose_prompt(selection: Selection) -> tuple[int, str]:
    """Row of a held-out prompt, and the reader's own, which goes before it."""
    references = references_of(selection.study)
    prompts = [f"{n + 1}. {text}" for n, text in enumerate(references.prompts)]
    left, right = st.columns([0.7, 0.3])
    typed = right.text_input(
        "or your own", key="typed", bind="query-params", max_chars=400,
        placeholder="The baker found a red key.",
    ).strip()  # fmt: skip
    row = left.selectbox(
        "Prompt (held out from training)",
        range(len(prompts)),
        index=asked_prompt(len(prompts)),
        format_func=lambda n: prompts[n],
        key=f"prompt-of-{selection.name}",
        disabled=bool(typed),
    )
    if typed:
        left.caption("Not in force: your own prompt is. Clear it to take a held-out one.")
    # By its number: a bound select box would write the whole text into the address.
    st.query_params[PROMPT] = str(int(row or 0) + 1)
    return int(row or 0), typed


def asked_prompt(count: int) -> int:
    """Row of the prompt that the address asks for by its number, or the first."""
    number = st.query_params.get(PROMPT, "1")
    return int(number) - 1 if number.isdecimal() and 1 <= int(number[:9]) <= count else 0
