"""A typed sentence as a point of each arm's space and of the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.typed_text import typed_latents, unknown_words
from workbench.ui.kit.cached import corpus_of, opened
from workbench.ui.kit.escape import inline

if TYPE_CHECKING:
    import numpy as np

    from workbench.study.folders import Run
    from workbench.ui.kit.selection import Selection


def typed_item(selection: Selection, text: str) -> dict[str, np.ndarray]:
    """A typed sentence as a point of each space: the mean over its tokens.

    Raises:
        InputError: it has no token, or more than the window.
    """
    return opened(selection.study).typed_points(selection.runs, text)


def say_unknown(selection: Selection, text: str) -> None:
    """Name the words that the vocabulary cannot spell."""
    unknown = unknown_words(corpus_of(selection.study), text)
    if unknown:
        named = inline(", ".join(unknown))
        st.caption(f":material/help: Not in the vocabulary, so read as unknown: {named}.")


def latents_of(run: Run, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalised posterior means (n, D) of a sentence's n tokens in one arm, and their ids."""
    return typed_latents(opened(run.study).trained_pair(run), corpus_of(run.study), text)
