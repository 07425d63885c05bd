"""Why the arms write unlike although they read alike: what lies next to a word in each space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.typical_word import RULE
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, inline
from workbench.ui.sections.shared.foretold import foretold_sentence
from workbench.ui.sections.shared.real_miss import show_real_misses
from workbench.ui.sections.shared.typical_example import PREFIX
from workbench.ui.sections.shared.typical_view import typical_view
from workbench.ui.sections.shared.word_company import company_caption, show_company

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


def show_why(selection: Selection, score: str | None) -> str:
    """The typical word's neighbours; returns the names of the results behind it, or nothing."""
    with guarded("What lies next to a word"):
        view = typical_view(selection)
        if view is None:
            return ""
        st.subheader("Why: a miss becomes a neighbour")
        of_misses = show_real_misses(selection, view.label)
        st.markdown(f"**What lies next to a word, such as *{inline(view.word)}***")
        show_company(selection, view.shares, view.near, view.label, after=of_misses)
        st.html(block(view.text, label=f"{view.word} in:", muted=True))
        told = foretold_sentence(view.label, score)
        st.caption(f"{company_caption(view.shares, view.label)} {told} {RULE}")
        return PREFIX + view.label
    return ""
