"""Neighbours: one item, and who stands next to it in each space, measured in the space itself."""

import numpy as np
import pandas as pd
import streamlit as st

from workbench.probes.spaces import TEACHER, nearest_items
from workbench.report.findings import selected_rows
from workbench.report.findings.shown import neighbour_numbers
from workbench.ui.kit.empty_state import require_runs, selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, html_text
from workbench.ui.kit.figures import show_table
from workbench.ui.kit.keep_finding import keep_this, replayed_rows
from workbench.ui.kit.text_column import LONG_TEXTS
from workbench.ui.kit.theme import colours
from workbench.ui.sections.aligned_maps import displaced, items_of, key_of
from workbench.ui.sections.nearest import agreement, company_list, typed_item

MOST_LISTED = 300

st.title("Neighbours")
st.caption(
    "Distances of the full space, not of a map. Look at which neighbours the twins share: a mark "
    "says in how many other spaces an item is a neighbour too. It would surprise if the arm that "
    "never saw the teacher kept the teacher's neighbours."
)
selection = selection_or_stop()
require_runs(selection)

one, two, three = st.columns([1, 0.8, 2.4])
level = one.segmented_control("Items", ["tokens", "texts"], default="texts", key="level",
                              bind="query-params") or "texts"  # fmt: skip
count = two.slider("How many", 3, 25, 8, key="k", bind="query-params")
items, key = items_of(selection, level), key_of(selection, level)
typed = three.text_input(
    "A sentence of your own" if level == "texts" else "A word to look for", key="typed",
    bind="query-params", max_chars=400, placeholder="Anna was happy because the rain stopped.",
)  # fmt: skip
other_words = level == "tokens" and st.toggle(
    "Leave out the same word", value=True, key="other", bind="query-params"
)

remembered = st.session_state.setdefault("_neighbour_row", {})
if replayed := replayed_rows(selection, level, len(items.names)):
    remembered[level] = st.session_state["place"] = replayed[0]
row = remembered.get(level, 0)
row = min(row, len(items.names) - 1)
queries: dict[str, np.ndarray] = {space: rows[row] for space, rows in items.spaces.items()}
own: int | None = row
if typed and level == "texts":
    with guarded("This sentence"):
        queries, own = typed_item(selection, typed), None
elif typed:
    hits = [
        n for n, name in enumerate(items.names) if name.strip("#").lower() == typed.lower().strip()
    ]
    if st.session_state.get("place") not in hits:
        st.session_state.pop("place", None)
    if hits:
        own = row = st.selectbox(
            f"{len(hits)} places", hits, format_func=lambda n: items.hover[n], key="place"
        )
        queries = {space: rows[row] for space, rows in items.spaces.items()}
    else:
        st.info("No probed token reads like that.")

found = {}
title = typed if own is None else (items.texts[row] if level == "texts" else items.hover[row])
st.html(block(title, label="Asked:"))
with guarded("The neighbours"):
    found = {
        space: nearest_items(items, space, query, count, own=own, other_words=other_words)
        for space, query in queries.items()
    }
    marks = agreement(found)
    palette = {**colours(selection.all_arms), TEACHER: "inherit"}
    for column, (space, near) in zip(st.columns(len(found)), found.items(), strict=True):
        with column:
            st.html(f'<b style="color:{palette[space]}">{html_text(space)}</b>')
            st.html(company_list(items, near, marks, show_text=level == "tokens"))
    st.caption("● = also a neighbour in one other space, ●● in two; the number is cosine distance "
               "after centring, 0 = same direction, 1 = unrelated.")  # fmt: skip

if len(selection.arms) == 2:
    st.subheader("Where the twins disagree most")
    moved = displaced(key, selection.first, selection.second, items.spaces)
    order = np.argsort(-np.nan_to_num(moved), kind="stable")[:MOST_LISTED]
    frame = pd.DataFrame(
        {
            "displacement": moved[order].round(3),
            "item": [items.names[n] for n in order],
            "text": [items.texts[n] for n in order],
        }
    )
    if level == "texts":
        frame = frame.drop(columns="item")
    picked = show_table(
        frame, f"disagree-{level}", on_select="rerun", selection_mode="single-row",
        caption="Choose a row to see its neighbours above. 0 = it keeps its neighbours from one "
        "arm to the other. 0.5 is the mean of chance, so a single item can lie beyond.",
        **LONG_TEXTS,
    )  # fmt: skip
    if picked and picked.selection.rows:
        chosen = int(order[picked.selection.rows[0]])
        if chosen != remembered.get(level):
            remembered[level] = chosen
            st.rerun()

keep_this(
    selection,
    "neighbours",
    lambda: neighbour_numbers(
        found, arms=selection.arms, seed=selection.seed, level=level, row=own, typed=typed or "",
        count=count, other_words=bool(other_words),
    ),
    chosen=lambda: None if own is None else selected_rows(level, [own], [items.hover[own]]),
    shown={"level": level, "k": count},
)  # fmt: skip
