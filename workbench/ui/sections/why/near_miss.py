"""A word of the reader's choice, and which other words a near miss would land on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.typical_word import FEWEST_PLACES
from workbench.ui.kit.error_card import guarded
from workbench.ui.sections.shared.held_out import items_of, key_of
from workbench.ui.sections.shared.real_miss import show_real_misses
from workbench.ui.sections.shared.typical_example import typical_word
from workbench.ui.sections.shared.word_company import (
    Near,
    company_caption,
    neighbours_of,
    shares_of,
    show_company,
)

if TYPE_CHECKING:
    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection


NO_KIND = (
    "No kind of word, such as its part of speech, is known and probed in both arms, so whether "
    "neighbours are of one kind cannot be counted."
)


def words_of(items: Items, first: int | None) -> dict[str, int]:
    """Word -> a row of it: the row that stands first, then words that occur often, by name.

    Digits, signs and pieces of words follow after whole words.
    """
    rows: dict[str, list[int]] = {}
    for row, word in enumerate(items.names):
        rows.setdefault(word, []).append(row)
    named = sorted(rows.items(), key=lambda entry: (not entry[0].strip()[:1].isalpha(), entry[0]))
    often = {word: own[0] for word, own in named if len(own) >= FEWEST_PLACES}
    found = often or {word: own[0] for word, own in named}
    if first is None:
        return found
    found.pop(items.names[first], None)
    return {items.names[first]: first, **found}


@st.cache_resource(max_entries=8, show_spinner=False)
def _words(key: str, first: int | None, _items: Items) -> dict[str, int]:
    return words_of(_items, first)


@st.cache_resource(max_entries=64, show_spinner=False)
def _near(key: str, row: int, label: str, _items: Items) -> dict[str, list[Near]]:
    """Space -> the neighbours of a word there."""
    return {space: neighbours_of(_items, space, row, label) for space in _items.spaces}


def show_near_miss(selection: Selection) -> None:
    """Real misses, then the neighbours of a word to choose; it opens on the typical one."""
    with guarded("The near miss"):
        st.subheader("What a near miss lands on")
        items = items_of(selection, "tokens")
        typical = typical_word(selection, items)
        key = key_of(selection, "tokens")
        words = _words(key, None if typical is None else typical.row, items)
        label = typical.label if typical else ""
        of_misses = show_real_misses(selection, label)
        row = st.container(horizontal=True, vertical_alignment="center")
        row.markdown("**What lies next to a word**", width="content")
        word = row.selectbox("A word", list(words), key="miss", bind="query-params", width=220,
                             label_visibility="collapsed")  # fmt: skip
        place = words.get(word, next(iter(words.values())))
        shares = shares_of(selection, items, typical) if typical else {}
        near = _near(key, place, label, items)
        show_company(selection, shares, near, label, after=of_misses)
        st.caption(company_caption(shares, label) if typical else NO_KIND)
