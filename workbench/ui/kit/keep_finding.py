"""Keep this: the foot of a page, which keeps the view with its selection and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.findings import Number, Selected, View, keep_finding
from workbench.report.findings.finding import LONGEST_SENTENCE
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block
from workbench.ui.kit.opened_finding import PARAMETER, html_link, offer_finding, stored_finding
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

KEPT, CLEAR, SENTENCE = "_kept", "_clear_sentence", "sentence"


def keep_this(
    selection: Selection,
    page: str,
    numbers: Callable[[], Sequence[Number]],
    *,
    chosen: Callable[[], Selected | None] = lambda: None,
    shown: Mapping[str, object] | None = None,
) -> None:
    """The foot of a page: a sentence, and a button that keeps the view as a finding.

    Args:
        selection: study, arms, seed.
        page: its address.
        numbers: what the page shows, asked for when it is kept.
        chosen: chosen items, likewise.
        shown: choices of the page that its address leaves out while they stand at their default.
    """
    st.divider()
    if st.session_state.pop(CLEAR, False):
        st.session_state[SENTENCE] = ""
    with st.form("keep", border=False):
        row = st.container(horizontal=True, wrap=False, vertical_alignment="bottom")
        sentence = row.text_input(
            "What did you see? One sentence, kept with this view and its numbers",
            max_chars=LONGEST_SENTENCE, key=SENTENCE,
            placeholder="What you see here, in one sentence.",
        )  # fmt: skip
        wanted = row.form_submit_button("Keep this", icon=":material/bookmark_add:")
    if wanted:
        st.session_state[KEPT] = None
        with guarded("This finding"), st.spinner("Keeping it …"):
            path = keep_finding(
                selection.study,
                selection.name,
                sentence=sentence,
                view=View(page=page, query=_query(selection, shown or {})),
                numbers=numbers(),
                runs=list(selection.runs.values()),
                selection=chosen(),
            )
            st.session_state[KEPT] = (page, str(path))
            # A refused sentence stays in its box; one that is kept makes room.
            st.session_state[CLEAR] = True
            st.rerun()
    kept = st.session_state.get(KEPT)
    if kept is not None and kept[0] == page and Path(kept[1]).is_file():
        with guarded("The kept finding"):
            _show_kept(selection.name, Path(kept[1]))


def _query(selection: Selection, shown: Mapping[str, object]) -> dict[str, str]:
    """The address of the view, complete: what is at its default is named too."""
    named = {
        "study": selection.name,
        "a": selection.first,
        "b": selection.second,
        "seed": str(selection.seed),
        **{key: str(value) for key, value in shown.items()},
    }
    address = {key: value for key, value in st.query_params.items() if key != PARAMETER}
    return {**named, **address}


def _show_kept(name: str, path: Path) -> None:
    finding = stored_finding(str(path), stamp(path))
    left, right = st.columns([0.72, 0.28], vertical_alignment="center")
    left.html(
        block(
            f"{len(finding.numbers)} numbers in {path.name}. The page Runs lists what is kept.",
            label="Kept.",
        )
        + html_link(finding, path, "Open this view again")
    )
    with right:
        offer_finding(path, name)
