"""Nearest neighbours of one item in each space, and how far the spaces agree about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.probes.spaces import TEACHER, Company, Items, nearest_items
from workbench.report.plain_words import label_words
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, html_text
from workbench.ui.kit.theme import colours

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.neighbours.asked_item import Asked

FIRST_WORDS = 7


def show_neighbours(selection: Selection, asked: Asked) -> dict[str, Company]:
    """One list per space, beside each other; returns the neighbours by space."""
    own, items = asked.own, asked.items
    label = "Asked:" if own is None or asked.level == "texts" else f"{items.names[own]} in:"
    st.html(block(asked.typed if own is None else items.texts[own], label=label))
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
    label = asked.items.kind if asked.own is not None else ""
    for column, (space, near) in zip(st.columns(len(found)), found.items(), strict=True):
        same = same_kind(asked.items, label, asked.own, near)
        count = f"{sum(same)} of {len(same)} ✓" if same else ""
        with column:
            st.html(
                f'<b style="font-size:1.2rem;color:{palette[space]}">{html_text(space)}</b> {count}'
            )
            st.html(company_list(asked.items, near, marks, same))
    st.caption(
        (f"✓ the same {label_words(label)}. " if label else "")
        + "● also near in one other space, ●● in two. Numbers: cosine distance in the full space, "
        "0 = same direction."
    )


def same_kind(items: Items, label: str, own: int | None, company: Company) -> list[bool]:
    """For each neighbour whether it has the class of row `own`; empty where that is unknown."""
    codes, _ = items.labels.get(label, (None, ()))
    if codes is None or own is None or codes[own] < 0:
        return []
    return [bool(codes[row] == codes[own]) for row in company.rows]


def agreement(found: Mapping[str, Company]) -> Counter[int]:
    """Row -> number of spaces that have it among the neighbours."""
    return Counter(row for company in found.values() for row in company.rows)


def company_list(
    items: Items, company: Company, marks: Counter[int], same: Sequence[bool] = ()
) -> str:
    """Neighbours as an HTML list: the item, its marks, its distance; its text on hover."""
    lines = []
    for place, (row, distance) in enumerate(zip(company.rows, company.distances, strict=True)):
        others = marks[row] - 1
        kind = "✓ " if same and same[place] else ""
        lines.append(
            f'<li style="margin:.3rem 0" title="{html_text(items.texts[row])}">'
            f"{html_text(shorter(items.names[row]))} {kind}"
            f'<span title="in {others} other spaces too">{"●" * others}</span> '
            f'<span style="opacity:.6">{distance:.2f}</span></li>'
        )
    return f'<ol style="padding-left:1.2rem;line-height:1.4">{"".join(lines)}</ol>'


def shorter(text: str) -> str:
    """The first words of a text, with a mark where more follow."""
    words = text.split()
    return text if len(words) <= FIRST_WORDS else f"{' '.join(words[:FIRST_WORDS])} …"
