"""Every run in the runs directory and how far it is."""

from __future__ import annotations

import streamlit as st

from workbench.study.listing import list_states
from workbench.ui.kit.exhibits import show_table


def show_on_disk() -> None:
    """One row per run; a damaged one stands here with the reason."""
    import pandas as pd

    states = list_states()
    if not states:
        st.info("The runs directory is empty. Start a study on the page New study.")
        return
    show_table(
        pd.DataFrame(states),
        "states",
        caption="Found by looking into the runs directory. A damaged run stands here with the "
        "reason and disturbs no other.",
    )
