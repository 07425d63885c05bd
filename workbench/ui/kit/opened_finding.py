"""A kept finding: its link, its file, and what it chose when its link is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.report.findings import Finding, finding_files, read_finding
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, html_text
from workbench.ui.kit.scan import found_studies, stamp

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

PARAMETER = "finding"
REPLAYED = "_replayed"


def opened_finding(selection: Selection) -> tuple[Path, Finding] | None:
    """The finding that the address names, if the study has it; the name is never a path."""
    wanted = st.query_params.get(PARAMETER)
    if not wanted:
        return None
    for path in finding_files(selection.study.directory):
        if path.stem == wanted:
            return path, stored_finding(str(path), stamp(path))
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
        st.html(block(finding.sentence, label="Finding:") + small_print(kept))


def link_of(finding: Finding, path: Path) -> str:
    """The address that reopens a finding's view with its selection."""
    from workbench.ui.navigation import MENU

    first = next(iter(MENU.values()))[0][0]
    page = "." if finding.view.page == first else finding.view.page
    # The study is the one that the file lies in, whatever it was called when this was kept.
    query = {**finding.view.query, "study": _study_name(path), PARAMETER: path.stem}
    return f"{page}/?{urlencode(query)}" if page == "." else f"{page}?{urlencode(query)}"


def html_link(finding: Finding, path: Path, text: str) -> str:
    """A link as HTML, in the colour of the text, so that it reads on both themes."""
    style = "color:inherit;text-decoration:underline;text-underline-offset:.2em"
    where = html_text(link_of(finding, path))
    return f'<a href="{where}" target="_self" style="{style}">{html_text(text)}</a>'


def _study_name(path: Path) -> str:
    folder = path.parent.parent
    return next((f.name for f in found_studies() if f.directory == folder), folder.name)


def offer_finding(path: Path, name: str) -> None:
    """A finding's file as a download."""
    st.download_button(
        "Download", path.read_bytes, file_name=path.name, mime="application/json",
        on_click="ignore", icon=":material/download:", key=f"finding-{name}-{path.name}",
    )  # fmt: skip


def small_print(text: str) -> str:
    """A line in small grey letters, as HTML."""
    style = "opacity:.65;font-size:.85em;margin:0;overflow-wrap:anywhere"
    return f'<p style="{style}">{html_text(text)}</p>'


@st.cache_data(max_entries=256, show_spinner=False)
def stored_finding(path: str, stamp: tuple[int, int]) -> Finding:
    """A finding's file, read again when it changes."""
    return read_finding(Path(path))
