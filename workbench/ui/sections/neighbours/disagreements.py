"""Items whose neighbours differ most between the two arms; a row picks what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.ui.kit.exhibits import LONG_TEXTS, show_table
from workbench.ui.sections.neighbours.asked_item import remember_row
from workbench.ui.sections.shared.held_out import displaced, displacement_sentence

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.neighbours.asked_item import Asked

MOST_LISTED = 300


def show_disagreements(selection: Selection, asked: Asked) -> None:
    """The list; nothing in a study of one arm."""
    import pandas as pd

    if len(selection.arms) != 2:
        return
    st.subheader("Where the twins disagree most")
    items = asked.items
    moved = displaced(asked.key, selection.first, selection.second, items.spaces)
    order = np.argsort(-np.nan_to_num(moved), kind="stable")[:MOST_LISTED]
    frame = pd.DataFrame(
        {
            "item": [items.names[n] for n in order],
            "displacement": moved[order].round(3),
            "text": [items.texts[n] for n in order],
        }
    )
    picked = show_table(
        frame.drop(columns="item") if asked.level == "texts" else frame,
        f"disagree-{asked.level}", on_select="rerun", selection_mode="single-row",
        caption=f"Choose a row to see its neighbours above. {displacement_sentence(moved)}",
        **LONG_TEXTS,
    )  # fmt: skip
    if picked and picked.selection.rows:
        row = int(order[picked.selection.rows[0]])
        if remember_row(asked.level, row):
            st.rerun()
