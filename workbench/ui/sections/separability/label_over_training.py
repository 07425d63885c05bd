"""When a label becomes readable during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.findings import Number
from workbench.report.findings.shown import course_numbers, onset_numbers, probe_numbers
from workbench.ui.kit.error_card import guarded
from workbench.ui.sections.separability.onset_table import onsets, show_onsets
from workbench.ui.sections.shared.over_training import (
    READABLE,
    course_note,
    courses,
    drawn_courses,
    show_course,
)
from workbench.ui.sections.shared.stored_results import Results

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

SHOWN = ("linear_separability.", "denoising.", "flow_layers.")


def show_label_over_training(selection: Selection, label: str) -> None:
    """The label's curve for each run, and the onsets of all labels."""
    st.subheader("Over training")
    with guarded("The course of training"):
        found = courses(selection)
        if len(found) < len(selection.arms):
            course_note(selection)
            return
        show_course(
            selection, found, "vae", f"{READABLE}{label}",
            "When the label becomes readable in the autoencoder's space. It would surprise if "
            "alignment did not make what the teacher knows readable earlier.",
        )  # fmt: skip
        if len(selection.arms) > 1:
            show_onsets(selection)


def shown_numbers(selection: Selection, results: Mapping[str, Results], label: str) -> list[Number]:
    """Stored results, and the label over training where that is probed."""
    numbers = probe_numbers(results, selection.seed, SHOWN)
    probed = courses(selection)
    if len(probed) < len(selection.arms):
        return numbers
    measure = f"{READABLE}{label}"
    numbers += course_numbers(drawn_courses(probed, "vae", measure), "vae", measure)
    if len(selection.arms) > 1:
        numbers += onset_numbers(onsets(selection), selection.arms)
    return numbers
