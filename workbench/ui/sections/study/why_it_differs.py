"""Why the arms write unlike although they read alike: what lies next to a word in each space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.typical_word import RULE
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, inline
from workbench.ui.sections.shared.held_out import items_of
from workbench.ui.sections.shared.typical_example import PREFIX, typical_word
from workbench.ui.sections.shared.word_company import company_caption, show_company

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


def show_why(selection: Selection) -> str:
    """The typical word's neighbours; returns the names of the results behind it, or nothing."""
    with guarded("What lies next to a word"):
        items = items_of(selection, "tokens")
        typical = typical_word(selection, items)
        if typical is None:
            return ""
        word = items.names[typical.row]
        st.subheader(f"Why: what lies next to a word, such as *{inline(word)}*")
        show_company(selection, items, typical.row, typical.label, typical)
        st.html(block(items.texts[typical.row], label=f"{word} in:", muted=True))
        st.caption(f"{company_caption(typical.label, typical)} {RULE}")
        return PREFIX + typical.label
    return ""
