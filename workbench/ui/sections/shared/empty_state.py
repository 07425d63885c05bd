"""What a page shows before there is anything to show: how to get it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.study.folders import Run
from workbench.ui.kit.selection import Selection, current_selection


def selection_or_stop() -> Selection:
    """The reader's selection; without a study, an offer to make one, and the page ends."""
    selection = current_selection()
    if selection is not None:
        return selection
    from workbench.ui.sections.shared.job_cards import offer_demo

    st.info(
        "There is no study to look at yet. The demo trains two small text autoencoders that differ "
        "in one thing, lets both write, and compares them.",
        icon=":material/science:",
    )
    offer_demo()
    st.stop()


def comparison_or_stop(selection: Selection) -> dict[str, Any]:
    """What the study's end found; before it, its progress, and the page ends."""
    from workbench.ui.kit.cached import comparison_of
    from workbench.ui.sections.shared.job_cards import watch_jobs

    comparison = comparison_of(selection.study)
    if comparison is not None:
        return comparison
    st.info("This study has not reached its comparison yet.", icon=":material/hourglass_top:")
    watch_jobs()
    st.stop()


def require_runs(selection: Selection, needs: str = "flow") -> dict[str, Run]:
    """The selected runs; says which is unfinished and ends the page where one is.

    Args:
        selection: of the sidebar.
        needs: `vae`, `latents`, `flow`, `samples`: folder that has to be complete.
    """
    missing = [arm for arm, run in selection.runs.items() if not _is_there(run, needs)]
    if missing:
        st.info(
            f"{' and '.join(missing)}: the stage `{needs}` is not finished yet. "
            "This page fills as the study goes on.",
            icon=":material/hourglass_top:",
        )
        from workbench.ui.sections.shared.job_cards import watch_jobs

        watch_jobs()
        st.stop()
    return selection.runs


def _is_there(run: Run, needs: str) -> bool:
    directory = run.directory / needs
    if needs in ("vae", "flow"):
        return any((step / "manifest.json").is_file() for step in directory.glob("step-*"))
    return (directory / "manifest.json").is_file()
