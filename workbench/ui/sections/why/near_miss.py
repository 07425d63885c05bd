"""One word in both arms' spaces, and which other words a near miss would land on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.probes.spaces import nearest_items
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.theme import colours
from workbench.ui.sections.shared.held_out import items_of

if TYPE_CHECKING:
    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection

KIND, NOUN = "pos", "noun"
MOST_WORDS, SHOWN, SEARCHED = 40, 8, 60


def words_of(items: Items) -> dict[str, int]:
    """Word -> its first row: nouns where the corpus knows them, in the order of the texts."""
    codes, names = items.labels.get(KIND, (None, ()))
    found: dict[str, int] = {}
    for row, word in enumerate(items.names):
        if codes is not None and NOUN in names and codes[row] != names.index(NOUN):
            continue
        found.setdefault(word, row)
        if len(found) == MOST_WORDS:
            break
    return found


def neighbours_of(items: Items, space: str, row: int) -> list[tuple[str, bool | None]]:
    """The nearest other words, each once, and whether they are of the row's kind.

    None in place of a kind that the corpus does not know.
    """
    company = nearest_items(
        items, space, items.spaces[space][row], SEARCHED, own=row, other_words=True
    )
    codes, _ = items.labels.get(KIND, (np.full(len(items.names), -1), ()))
    found: dict[str, bool | None] = {}
    for other in company.rows:
        same = bool(codes[other] == codes[row]) if codes[row] >= 0 else None
        found.setdefault(items.names[other], same)
    return list(found.items())[:SHOWN]


def show_near_miss(selection: Selection) -> None:
    """Let the reader choose a word, and show what lies next to it in each arm."""
    st.subheader("A near miss")
    items = items_of(selection, "tokens")
    words = words_of(items)
    word = st.selectbox("A word", list(words), key="miss", bind="query-params")
    row = words.get(word, next(iter(words.values())))
    palette = colours(selection.all_arms)
    lines, known = [], False
    for arm in selection.arms:
        nearest = neighbours_of(items, arm, row)
        known |= any(same is not None for _, same in nearest)
        shown = ", ".join(f"{name}*" if same else name for name, same in nearest)
        lines.append(block(shown, label=arm, colour=palette[arm]))
    st.html(blocks([block(items.texts[row], label=items.names[row], muted=True), *lines]))
    stars = " A star marks words of the same part of speech." if known else ""
    st.caption(
        "The nearest latents of other words, nearest first: what a point reads as that misses far "
        f"enough to leave its word.{stars} The decoder of an arm may bear a larger error before it "
        "leaves; what counts afterwards is where it lands. One word proves nothing: the first rows "
        "of the table below count over all of them."
    )
