"""The theme in force and each arm's colour, the same on every page and in every export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from analyses.figures.theme import SURFACES, ArmStyle, Surface, Theme, arm_styles
from workbench.probes.spaces import TEACHER

# What a page is about stands in its first view: less room above the title.
# And less beside the page where the window is narrow. Streamlit writes white on the primary colour,
# which is pale in the dark theme.
PAGE_STYLE = """<style>
[data-testid=stMainBlockContainer]{padding-top:2.6rem;padding-bottom:3rem}
.short-cell{white-space:nowrap}
@media (max-width:1100px){
  .short-cell{white-space:normal}
  [data-testid=stMainBlockContainer]{padding-left:1.5rem;padding-right:1.5rem}
}
[data-testid^=stBaseButton-primary] *{color:light-dark(#fff,#0e1117)}
</style>"""
# Standard arms in plain words, for readers who did not read the paper.
ARM_MEANING: Mapping[str, str] = {
    "none": "autoencoder alone",
    "repa": "aligned with a language model",
    "permuted": "aligned with states of other texts: the same statistics, no meaning",
    "random": "aligned with an untrained language model",
    "gram": "each text's latents resemble each other as a language model's states do",
    "gram-across": "as gram, among the latents of eight texts at a time",
    "irepa": "aligned within each text, through a convolution over neighbours",
    "repa-linear": "aligned through a linear map",
    "repa-conv": "aligned through a convolution over neighbours",
    "repa-sequence": "aligned with what words of one text do not share",
    "deep": "aligned through a Transformer block that sees the whole text",
    "masked": "as deep, with a quarter of the words hidden and told from the others",
    "predictive": "as deep, with the continuation's meaning told from the prompt",
    "teacher-reference": "a reference, no twin: the teacher's own states, only a decoder learns",
    "repa-dit": "autoencoder alone; a block of the flow is aligned with a language model",
    "repa-both": "autoencoder and a block of the flow are aligned with a language model",
    "reg": "as repa; the flow also makes a language model's vector of the continuation",
}
TEACHER_MEANING = "language model aligned with"


def meaning_of(space: str) -> str:
    """What an arm, or the teacher, is in plain words; empty for an arm of the reader's own."""
    return TEACHER_MEANING if space == TEACHER else ARM_MEANING.get(space, "")


def theme() -> Theme:
    """`light` or `dark`, as the browser shows the app now."""
    return "dark" if st.context.theme.type == "dark" else "light"


def surface() -> Surface:
    """Colours of paper, text and grid."""
    return SURFACES[theme()]


def styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """Colour, dash and symbol of every arm; hand in all arms of the study."""
    return arm_styles(arms, theme())


def colours(arms: Sequence[str]) -> dict[str, str]:
    """Colour of every arm."""
    return {arm: style.colour for arm, style in styles(arms).items()}
