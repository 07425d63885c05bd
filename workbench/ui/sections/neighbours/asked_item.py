"""What the page Neighbours asks about: a picked item, a typed sentence, or a place of a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.opened_finding import replayed_rows
from workbench.ui.sections.shared.held_out import items_of, key_of
from workbench.ui.sections.shared.typed_sentence import say_unknown, typed_item
from workbench.ui.sections.shared.typical_example import typical_word

if TYPE_CHECKING:
    import numpy as np

    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection

ROW = "_neighbour_row"


@dataclass(frozen=True)
class Asked:
    """The question.

    Attributes:
        level: `tokens` or `texts`.
        items: of the level.
        key: names the items.
        count: neighbours wanted.
        other_words: leave out places of the same word.
        typed: what the reader wrote, or empty.
        own: the row asked about; None for a typed sentence.
        queries: space -> (F,) the point asked about.
    """

    level: str
    items: Items
    key: str
    count: int
    other_words: bool
    typed: str
    own: int | None
    queries: Mapping[str, np.ndarray]


def ask(selection: Selection) -> Asked:
    """The row of controls; all of it is in the address, the picked row in the session."""
    one, two, three = st.columns([1.3, 0.9, 2])
    level = one.segmented_control("Items", ["tokens", "texts"], default="tokens", key="level",
                                  bind="query-params") or "tokens"  # fmt: skip
    count = two.slider("How many", 3, 25, 8, key="k", bind="query-params")
    items, key = items_of(selection, level), key_of(selection, level)
    typed = three.text_input(
        "A sentence of your own" if level == "texts" else "A word to look for", key="typed",
        bind="query-params", max_chars=400,
        placeholder="Anna was happy because the rain stopped." if level == "texts" else "fox",
    )  # fmt: skip
    other_words = level == "tokens" and st.toggle(
        "Leave out the same word", value=True, key="other", bind="query-params"
    )
    row: int | None = _remembered_row(selection, level, items)
    queries = None
    if typed and level == "texts":
        with guarded("This sentence"):
            say_unknown(selection, typed)
            queries, row = typed_item(selection, typed), None
    elif typed:
        row = _place_of(typed, items, row or 0)
    if row is not None:
        queries = {space: rows[row] for space, rows in items.spaces.items()}
    return Asked(level, items, key, count, bool(other_words), typed or "", row, queries or {})


def _remembered_row(selection: Selection, level: str, items: Items) -> int:
    remembered = st.session_state.setdefault(ROW, {})
    if replayed := replayed_rows(selection, level, len(items.names)):
        remembered[level] = st.session_state["place"] = replayed[0]
    if level not in remembered:
        typical = typical_word(selection, items) if level == "tokens" else None
        remembered[level] = 0 if typical is None else typical.row
    return min(remembered[level], len(items.names) - 1)


def _place_of(word: str, items: Items, otherwise: int) -> int:
    """Let the reader choose among the places of a word."""
    wanted = word.lower().strip()
    hits = [n for n, name in enumerate(items.names) if name.strip("#").lower() == wanted]
    if st.session_state.get("place") not in hits:
        st.session_state.pop("place", None)
    if not hits:
        st.info("No probed token reads like that.")
        return otherwise
    return st.selectbox(
        f"{len(hits)} places", hits, format_func=lambda n: items.hover[n], key="place"
    )


def remember_row(level: str, row: int) -> bool:
    """Ask about this row from now on; returns whether it is another than before."""
    remembered = st.session_state.setdefault(ROW, {})
    is_new = remembered.get(level) != row
    remembered[level] = row
    return is_new
