"""Latent map: the twins and their teacher side by side, one alignment, one selection."""

import numpy as np
import pandas as pd
import streamlit as st

from analyses.maps.latent_map import LatentMapConfig
from workbench.report.findings import selected_rows
from workbench.report.findings.shown import displacement_numbers, trust_numbers
from workbench.ui.charts.maps import MOST_POINTS, Colouring, highlight_figure, maps_figure, rows_of
from workbench.ui.kit.empty_state import require_runs, selection_or_stop
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.keep_finding import keep_this, replayed_rows
from workbench.ui.kit.text_column import LONG_TEXTS
from workbench.ui.kit.theme import theme
from workbench.ui.sections.aligned_maps import displaced, is_drawn, items_of, key_of, maps_of

MOST_KEPT = 200
TRUST, MOVED = "trust in each point", "moved against the neighbours"

st.title("Latent map")
st.caption(
    "The same words (or texts) in each arm's space and in the teacher's, the language model that "
    "an arm may be aligned with. Look at whether colours (*pos*: part of speech) gather; it would "
    "surprise if the teacher's groups were found in the arm that never saw it. A map can lie: the "
    "number in each title says how far its neighbours are true neighbours."
)
selection = selection_or_stop()
require_runs(selection)

one, two, three, four = st.columns([1, 1, 1.4, 1.6])
level = one.segmented_control("Items", ["tokens", "texts"], default="tokens", key="level",
                              bind="query-params") or "tokens"  # fmt: skip
method = two.segmented_control("Method", ["pca", "umap"], default="pca", key="method",
                               bind="query-params") or "pca"  # fmt: skip
items, key = items_of(selection, level), key_of(selection, level)
twins = len(selection.arms) == 2
choices = [*items.labels, TRUST, *([MOVED] if twins else [])]
if st.session_state.get("colour") not in (None, *choices):
    # Deleted, it would leave the old label in the browser's box.
    st.session_state["colour"] = choices[0]
colour = three.selectbox("Colour", choices, key="colour", bind="query-params")
search = four.text_input("Find", key="find", bind="query-params", max_chars=80,
                         placeholder="a word, or part of a text")  # fmt: skip

config = LatentMapConfig(method="umap" if method == "umap" else "pca")
if method == "umap" and not is_drawn(key, config):
    st.info("UMAP bends the space to keep neighbours together. It takes about half a minute, once.")
    if not st.button("Draw it", type="primary"):
        st.stop()
maps = maps_of(key, config, items.spaces)
if maps.notice:
    st.warning(maps.notice)

moved = displaced(key, selection.first, selection.second, items.spaces) if twins else None
if colour == TRUST:
    colouring = Colouring(name="trustworthiness", values=maps.trust)
elif colour == MOVED and moved is not None:
    colouring = Colouring(name="displacement", values=dict.fromkeys(maps.coords, moved))
else:
    codes, classes = items.labels[colour]
    colouring = Colouring(name=colour, codes=codes, classes=classes)
titles = {
    space: space
    if maps.mean_trust[space] is None
    else f"{space}, trust {maps.mean_trust[space]:.2f}"
    for space in maps.coords
}
drawn = maps_figure(maps.coords, titles, items.hover, colouring, theme=theme())
state = show_figure(
    drawn.figure,
    f"map-{level}",
    caption="Draw a lasso in any panel: the same items light up in all of them below. Axes have no "
    "unit; only who is near whom may be read."
    + (f" {len(items.hover):,} items: a sample of {MOST_POINTS:,} over the density of all."
       if len(items.hover) > MOST_POINTS else ""),
    table=lambda: pd.DataFrame(
        {"item": items.names}
        | {f"{s} {a}": xy[:, i] for s, xy in maps.coords.items() for i, a in enumerate("xy")}
    ),
    on_select="rerun",
    selection_mode=("box", "lasso"),
)  # fmt: skip

# A selection is gone when its figure changes, so its rows are kept as soon as they arrive.
lassoed = rows_of(state.selection.points, drawn) if state else []
memory = st.session_state.setdefault("_lasso", {})
replayed = replayed_rows(selection, level, len(items.names))
if lassoed or replayed:
    memory[key] = lassoed or replayed
searched = items.names if level == "tokens" else items.texts
found = (
    [row for row, text in enumerate(searched) if search.lower() in text.lower()] if search else []
)
chosen = sorted({*memory.get(key, []), *found})
if search and not found:
    st.info("Nothing has this.", icon=":material/search_off:")

if chosen:
    left, right = st.columns([0.8, 0.2], vertical_alignment="bottom")
    left.subheader(f"{len(chosen)} chosen")
    if memory.get(key) and right.button("Forget the lasso"):
        memory.pop(key, None)
        st.rerun()
    show_figure(
        highlight_figure(maps.coords, titles, items.hover, chosen, theme=theme()),
        f"chosen-{level}",
        caption="The chosen items in every space. A group that stays together keeps its meaning; "
        "one that scatters was held together by something the other space does not know.",
    )
if moved is not None:
    st.subheader("Chosen" if chosen else "Moved most against their neighbours")
    order = np.array(chosen) if chosen else np.argsort(-np.nan_to_num(moved), kind="stable")[:40]
    frame = pd.DataFrame(
        {
            "item": [items.names[row] for row in order],
            "displacement": moved[order].round(3),
            **{name: [classes[c] if (c := codes[row]) >= 0 else "" for row in order]
               for name, (codes, classes) in items.labels.items()},
            "text": [items.texts[row] for row in order],
        }
    )  # fmt: skip
    if level == "texts":
        frame = frame.drop(columns="item")
    show_table(
        frame, f"moved-{level}",
        caption="Displacement: how far an item's neighbours in one arm stand from it in the other, "
        "0 = it keeps its company. 0.5 is the mean of chance, so a single item can lie beyond.",
        **LONG_TEXTS,
    )  # fmt: skip

listed = {} if moved is None else {int(row): moved[row] for row in order[:MOST_KEPT]}
where = (selection.arms, selection.seed, level)
keep_this(
    selection,
    "latent_map",
    lambda: [
        *trust_numbers(maps.mean_trust, *where, method),
        *displacement_numbers(listed, *where),
    ],
    chosen=lambda: (
        selected_rows(level, chosen, [items.hover[row] for row in chosen]) if chosen else None
    ),
    shown={"level": level, "method": method, "colour": colour},
)
