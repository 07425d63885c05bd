"""The words of the pages, each in a sentence, for whoever opens the app without the paper."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from workbench.report.plain_words import CLASS_WORDS
from workbench.ui.kit.escape import html_text

GLOSSARY: Mapping[str, str] = {
    "arm": "One of the ways of training that a study compares; all else is the same in all arms.",
    "twins": "Arms that share data, their order, initial weights and noise, and differ in one "
    "declared thing.",
    "latent": "The short vector that the encoder makes of each word and the decoder reads back.",
    "none": "The arm whose autoencoder is trained to read back, and for nothing else.",
    "repa": "The arm whose latents are also pulled towards a teacher's states (REPA: "
    "representation alignment).",
    "teacher": "A frozen language model; its hidden states know which words mean alike.",
    "flow": "The diffusion model: it moves noise along a path to latents that the decoder reads.",
    "velocity": "Where, and how fast, the flow moves a point of its path.",
    "t": "Time of a path: 0 is noise, 1 is a latent.",
    "guidance": "How hard the flow is pushed towards what the prompt asks: 1 is off.",
    "human": "How the corpus itself goes on after a prompt. People wrote it, but for the built-in "
    "stories, which a grammar wrote.",
    "commit": "The step from which on the decoder reads the same word until the end.",
    "nats": "Surprise in natural-log units: 0 is sure, 1 nat is a chance of 1 in 2.7.",
    "judge": "A language model trained on the same texts, which says how surprising a text is.",
    "autoregressive": "That language model writing by itself, word by word, as a yardstick.",
    "MAUVE": "How alike machine and human texts are spread, 0 to 1; it needs many texts.",
    "valid 4-gram": "A run of four words that occurs in the training texts.",
    "fidelity": "Share of what the prompt sets (who, where, with what) that the text keeps. It "
    "shows when a flow learns to attend to its prompt, more than what its space is like.",
    "ladder of damage": "Human text, damaged by known amounts: a score is trusted for the damage "
    "that it puts in the right order.",
    "headline score": "The score that orders the most of this ladder; no arm plays a part in it.",
    "grammar": "For the built-in stories: the share of sentences that their own grammar can tell.",
    "C2ST": "How often a linear classifier tells the text from human text: .5 is human.",
    "energy distance": "How far all texts together lie from human ones, in standard deviations.",
    "ROUGE, F1": "Overlap of words, or of their meanings, with what a human wrote next.",
    "chance": "What a space without the property would score: shuffled labels, or random points.",
    "interval [low, high]": "Where the number would lie in 95 of 100 draws of other texts.",
    "Holm": "A correction: who looks at many differences finds some by luck.",
    "floor": "Loss of an ideal flow that knows only part of a space: how it spreads (Gaussian), or "
    "all but the encoder's noise (given mu), below which none can go.",
    "entropy, margin": "How unsure the decoder is of a word, and how far its first choice leads.",
    "euler, heun, multistep": "Ways of following the flow in steps; more exact ones cost more.",
    "probe": "A measurement of a space that leaves it as it is.",
    "trust": "How far a point's neighbours on the map are its neighbours in the space: 1 = all.",
    "part of speech": "What a word does in its sentence. Code names in parentheses: "
    + ", ".join(f"{words} ({code})" for code, words in CLASS_WORDS["pos"].items())
    + ".",
}


def show_glossary() -> None:
    """A button that opens the list of words."""
    with st.popover("What the words mean", icon=":material/menu_book:", width="stretch"):
        rows = "".join(
            f"<dt style='font-weight:600'>{html_text(word)}</dt>"
            f"<dd style='margin:0 0 .45rem 0'>{html_text(meaning)}</dd>"
            for word, meaning in GLOSSARY.items()
        )
        st.html(f"<dl style='font-size:.85rem;line-height:1.3;margin:0'>{rows}</dl>")
