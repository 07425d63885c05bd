"""Settings that differ between the two selected arms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection


def show_differences(selection: Selection) -> None:
    """The settings as a table."""
    with guarded("The differences"):
        frame = difference_frame(selection)
        if not len(frame):
            st.info("Choose two arms of a study in the sidebar.")
            return
        show_table(
            frame,
            "differences",
            caption="Every setting that is not the same in the two arms. Twins should differ "
            "in the one thing that is studied.",
        )


def difference_frame(selection: Selection) -> pd.DataFrame:
    """Settings that differ between the two selected runs."""
    import pandas as pd

    from workbench.config.settings import differences

    if len(selection.arms) < 2:
        return pd.DataFrame()
    left, right = selection.runs.values()
    rows = differences(left.config, right.config)
    return pd.DataFrame(
        [
            {"setting": row.key, selection.first: row.left, selection.second: row.right}
            for row in rows
        ]
    )
