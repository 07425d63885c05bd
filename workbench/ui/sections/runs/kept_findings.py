"""The list of every finding that was kept, with a link that reopens its view."""

from __future__ import annotations

import streamlit as st

from workbench.report.findings import finding_files
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.opened_finding import html_link, offer_finding, small_print, stored_finding
from workbench.ui.kit.scan import found_studies, stamp


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
            finding = stored_finding(str(path), stamp(path))
            page = titles.get(finding.view.page, finding.view.page)
            count = len(finding.numbers)
            facts = f"{page}, {name}, {count} numbers, kept {finding.date[:10]}"
            words, file = st.columns([0.8, 0.2], vertical_alignment="center")
            words.html(html_link(finding, path, finding.sentence) + small_print(facts))
            with file:
                offer_finding(path, name)
