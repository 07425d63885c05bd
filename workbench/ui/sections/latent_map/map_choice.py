"""What the page Latent map draws: items, method, colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.plain_words import label_words
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.sections.shared.held_out import displaced, items_of, key_of
from workbench.ui.sections.shared.typical_example import neighbour_shares, parting_label

if TYPE_CHECKING:
    import numpy as np

    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection

TRUST, MOVED = "trust in each point", "moved against the neighbours"


@dataclass(frozen=True)
class MapChoice:
    """What is asked.

    Attributes:
        level: `tokens` or `texts`.
        method: `pca` or `umap`.
        colour: a label set, `TRUST` or `MOVED`.
        items: of the level.
        key: names the items.
        moved: (N,) displacement between the arms; None for one arm.
        alike: arm -> stored share of neighbours in the space that have the same colour.
    """

    level: str
    method: str
    colour: str
    items: Items
    key: str
    moved: np.ndarray | None
    alike: Mapping[str, float]


def choose_map(selection: Selection) -> MapChoice:
    """The row of controls; all of it is in the address."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    level = row.segmented_control("Items", ["tokens", "texts"], default="tokens", key="level",
                                  bind="query-params") or "tokens"  # fmt: skip
    method = row.segmented_control("Method", ["pca", "umap"], default="pca", key="method",
                                   bind="query-params") or "pca"  # fmt: skip
    items, key = items_of(selection, level), key_of(selection, level)
    twins = len(selection.arms) == 2
    choices = [*items.labels, TRUST, *([MOVED] if twins else [])]
    parting = parting_label(selection, items, level)
    colour = choose_named(
        "Colour", choices, "colour", words=label_words, first=parting, where=row, width=280
    )
    moved = displaced(key, selection.first, selection.second, items.spaces) if twins else None
    alike = neighbour_shares(selection, colour, level)
    return MapChoice(level, method, colour, items, key, moved, alike)
