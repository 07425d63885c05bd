"""The items that moved most between the arms, relative to their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.report.plain_words import class_words, label_words
from workbench.ui.kit.exhibits import CODE_NAME, LONG_TEXTS, show_table
from workbench.ui.sections.shared.held_out import displacement_sentence

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.sections.latent_map.map_choice import MapChoice

MOST_LISTED, MOST_KEPT = 40, 200


def show_moved(choice: MapChoice, chosen: list[int]) -> dict[int, float]:
    """List the chosen items, or those that moved most; returns row -> displacement."""
    if choice.moved is None:
        return {}
    title = "Chosen, those that moved most first" if chosen else "Moved most"
    st.subheader(f"{title} against their neighbours")
    rows = np.array(chosen) if chosen else np.arange(len(choice.moved))
    order = rows[np.argsort(-np.nan_to_num(choice.moved[rows]), kind="stable")]
    order = order[: MOST_KEPT if chosen else MOST_LISTED]
    show_table(
        _frame(choice, order), f"moved-{choice.level}",
        caption=displacement_sentence(choice.moved),
        **LONG_TEXTS,
    )  # fmt: skip
    return {int(row): float(choice.moved[row]) for row in order}


def _frame(choice: MapChoice, order: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    items, moved = choice.items, choice.moved
    assert moved is not None
    columns: dict[str, list[str | None]] = {}
    for name, (codes, classes) in items.labels.items():
        own = [classes[code] if (code := codes[row]) >= 0 else None for row in order]
        words = [None if one is None else class_words(name, one) for one in own]
        columns[label_words(name)] = words
        if words != own:
            columns[f"{CODE_NAME}: {label_words(name)}"] = own
    frame = pd.DataFrame(
        {
            "item": [items.names[row] for row in order],
            "displacement": moved[order].round(3),
            "text": [items.texts[row] for row in order],
            **columns,
        }
    )
    return frame.drop(columns="item") if choice.level == "texts" else frame
