"""Keep this: a view with its selection and numbers as a finding, and a finding opened again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.report.findings import (
    Finding,
    Number,
    Selected,
    View,
    finding_files,
    keep_finding,
    read_finding,
)
from workbench.report.findings.finding import LONGEST_SENTENCE
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, html_text
from workbench.ui.kit.scan import found_studies, stamp

if TYPE_CHECKING:
    from workbench.ui.kit.sidebar import Selection

PARAMETER = "finding"
KEPT, REPLAYED = "_kept", "_replayed"


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
    with st.form("keep", clear_on_submit=True, border=False):
        left, right = st.columns([0.82, 0.18], vertical_alignment="bottom")
        sentence = left.text_input(
            "What did you see? One sentence, kept with this view and its numbers",
            max_chars=LONGEST_SENTENCE, placeholder="The aligned arm keeps the prompt's facts.",
        )  # fmt: skip
        wanted = right.form_submit_button("Keep this", icon=":material/bookmark_add:")
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


def link_of(finding: Finding, path: Path) -> str:
    """The address that reopens a finding's view with its selection."""
    from workbench.ui.navigation import MENU

    first = next(iter(MENU.values()))[0][0]
    page = "." if finding.view.page == first else finding.view.page
    # The study is the one that the file lies in, whatever it was called when this was kept.
    query = {**finding.view.query, "study": _study_name(path), PARAMETER: path.stem}
    return f"{page}/?{urlencode(query)}" if page == "." else f"{page}?{urlencode(query)}"


def _link(finding: Finding, path: Path, text: str) -> str:
    """A link as HTML, in the colour of the text, so that it reads on both themes."""
    style = "color:inherit;text-decoration:underline;text-underline-offset:.2em"
    where = html_text(link_of(finding, path))
    return f'<a href="{where}" target="_self" style="{style}">{html_text(text)}</a>'


def _study_name(path: Path) -> str:
    folder = path.parent.parent
    return next((f.name for f in found_studies() if f.directory == folder), folder.name)


def _show_kept(name: str, path: Path) -> None:
    finding = _read(str(path), stamp(path))
    left, right = st.columns([0.72, 0.28], vertical_alignment="center")
    left.html(
        block(
            f"{len(finding.numbers)} numbers in {path.name}. The page Runs lists what is kept.",
            label="Kept.",
        )
        + _link(finding, path, "Open this view again")
    )
    with right:
        offer_finding(path, name)


def offer_finding(path: Path, name: str) -> None:
    """A finding's file as a download."""
    st.download_button(
        "Download", path.read_bytes, file_name=path.name, mime="application/json",
        on_click="ignore", icon=":material/download:", key=f"finding-{name}-{path.name}",
    )  # fmt: skip


def opened_finding(selection: Selection) -> tuple[Path, Finding] | None:
    """The finding that the address names, if the study has it; the name is never a path."""
    wanted = st.query_params.get(PARAMETER)
    if not wanted:
        return None
    for path in finding_files(selection.study.directory):
        if path.stem == wanted:
            return path, _read(str(path), stamp(path))
    return None


def replayed_rows(selection: Selection, level: str, count: int) -> list[int] | None:
    """Rows that the opened finding chose, once a session, so that the reader can choose anew.

    Args:
        selection: study, arms, seed.
        level: `tokens`, `texts` or `prompts`.
        count: items there are; rows beyond are left out.
    """
    with guarded("The finding"):
        opened = opened_finding(selection)
        if opened is None or opened[1].selection is None:
            return None
        path, chosen = opened[0], opened[1].selection
        done = st.session_state.setdefault(REPLAYED, set())
        if chosen.level != level or (str(path), level) in done:
            return None
        done.add((str(path), level))
        return [row for row in chosen.rows if row < count]
    return None


def show_opened(selection: Selection) -> None:
    """The sentence of the opened finding, for the sidebar."""
    try:
        opened = opened_finding(selection)
    except (WorkbenchError, OSError):
        return  # The page's own card says why.
    if opened is not None:
        path, finding = opened
        kept = f"kept {finding.date[:10]}; check with the verb verify: {path.name}"
        st.html(block(finding.sentence, label="Finding:") + _small(kept))


def _small(text: str) -> str:
    style = "opacity:.65;font-size:.85em;margin:0;overflow-wrap:anywhere"
    return f'<p style="{style}">{html_text(text)}</p>'


@st.cache_data(max_entries=256, show_spinner=False)
def _read(path: str, stamp: tuple[int, int]) -> Finding:
    return read_finding(Path(path))


def show_findings() -> None:
    """Every finding of every study, with a link that reopens its view."""
    from workbench.ui.navigation import MENU

    titles = {name: title for entries in MENU.values() for name, title, _ in entries}
    files = [
        (found.name, path)
        for found in found_studies()
        if not found.problem
        for path in reversed(finding_files(found.directory))
    ]
    if not files:
        st.info(
            "Nothing is kept yet. At the foot of a page, write what you see and press Keep this.",
            icon=":material/bookmark_add:",
        )
        return
    st.caption(
        "A finding is a view with its selection, numbers, configuration and versions. Its link "
        "reopens the view; `python -m workbench verify FILE` computes every number again and says "
        "what drifted."
    )
    for name, path in files:
        with guarded(f"{name}: {path.name}"):
            finding = _read(str(path), stamp(path))
            page = titles.get(finding.view.page, finding.view.page)
            count = len(finding.numbers)
            facts = f"{page}, {name}, {count} numbers, kept {finding.date[:10]}"
            words, file = st.columns([0.8, 0.2], vertical_alignment="center")
            words.html(_link(finding, path, finding.sentence) + _small(facts))
            with file:
                offer_finding(path, name)
