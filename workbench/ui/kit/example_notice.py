"""The line that marks the example, and leads to a study of the reader's own."""

from __future__ import annotations

import streamlit as st

from workbench.ui.kit.selection import current_selection

# Streamlit's bar lies over the first line of a page.
UNDER_THE_BAR = "<style>[data-testid=stMainBlockContainer]{padding-top:4rem}</style>"


def show_example_notice() -> None:
    """Say on every page that what is shown is the example; nothing for any other study."""
    from workbench.ui.navigation import page_file

    selection = current_selection()
    if selection is None or not selection.is_example:
        return
    st.html(UNDER_THE_BAR)
    row = st.container(horizontal=True, wrap=False, vertical_alignment="center")
    row.markdown(":blue-badge[Example] A finished study.", width="stretch")
    if row.button("Train your own", key="train-own", type="primary"):
        st.switch_page(str(page_file("new_study")))
