"""The flow's training loss of both arms against the floors of their spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.loss_floors import logged_curve, loss_figure
from workbench.score.directions import FLOORS_NOTE
from workbench.ui.kit.cached import metrics_of
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


def show_flow_loss(selection: Selection) -> None:
    """Draw the loss of every run that has logged its floors."""
    with guarded("The flow's loss"):
        found = (logged_curve(r.arm, r.seed, metrics_of(r)) for r in selection.runs.values())
        curves = [curve for curve in found if curve]
        if not curves:
            st.info("No arm has logged its floors.")
            return
        show_figure(
            kept_figure(loss_figure, curves, arms=selection.all_arms, theme=theme()),
            "flow-loss",
            caption=FLOORS_NOTE,
        )
