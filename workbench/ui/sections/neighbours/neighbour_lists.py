"""Nearest neighbours of one item in each space, and how far the spaces agree about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.spaces import TEACHER, Company, Items, nearest_items
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, html_text
from workbench.ui.kit.theme import colours

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.neighbours.asked_item import Asked

FIRST_WORDS = 7


def show_neighbours(selection: Selection, asked: Asked) -> dict[str, Company]:
    """One list per space, beside each other; returns the neighbours by space."""
    st.html(block(asked.title, label="Asked:"))
    with guarded("The neighbours"):
        found = {
            space: nearest_items(
                asked.items, space, query, asked.count,
                own=asked.own, other_words=asked.other_words,
            )
            for space, query in asked.queries.items()
        }  # fmt: skip
        _show_lists(selection, asked, found)
        return found
    return {}


def _show_lists(selection: Selection, asked: Asked, found: Mapping[str, Company]) -> None:
    marks = agreement(found)
    palette = {**colours(selection.all_arms), TEACHER: "inherit"}
    for column, (space, near) in zip(st.columns(len(found)), found.items(), strict=True):
        with column:
            st.html(f'<b style="font-size:1.2rem;color:{palette[space]}">{html_text(space)}</b>')
            st.html(company_list(asked.items, near, marks))
    st.caption(
        "Distances of the full space, not of a map. ● = also a neighbour in one other space, ●● in "
        "two; the number is cosine distance after centring, 0 = same direction, 1 = unrelated. "
        "Whole texts: point at a line."
    )


def agreement(found: Mapping[str, Company]) -> Counter[int]:
    """Row -> number of spaces that have it among the neighbours."""
    return Counter(row for company in found.values() for row in company.rows)


def company_list(items: Items, company: Company, marks: Counter[int]) -> str:
    """Neighbours as an HTML list: agreement marks, the item, its distance; its text on hover."""
    lines = []
    for row, distance in zip(company.rows, company.distances, strict=True):
        others = marks[row] - 1
        lines.append(
            f'<li style="margin:.3rem 0" title="{html_text(items.texts[row])}">'
            f'<span title="in {others} other spaces too">{"●" * others or "○"}</span> '
            f"{html_text(shorter(items.names[row]))} "
            f'<span style="opacity:.6">{distance:.2f}</span></li>'
        )
    return f'<ol style="padding-left:1.2rem;line-height:1.4">{"".join(lines)}</ol>'


def shorter(text: str) -> str:
    """The first words of a text, with a mark where more follow."""
    words = text.split()
    return text if len(words) <= FIRST_WORDS else f"{' '.join(words[:FIRST_WORDS])} …"
