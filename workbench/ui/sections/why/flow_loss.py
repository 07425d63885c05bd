"""The flow's training loss of both arms against the floors of their spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analyses.figures.loss_floors import LossCurve, loss_figure
from workbench.ui.kit.cached import metrics_of
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    from workbench.study.folders import Run
    from workbench.ui.kit.selection import Selection


def show_flow_loss(selection: Selection) -> None:
    """Draw the loss of every selected run that has logged its floors."""
    with guarded("The flow's loss"):
        curves = loss_curves({arm: (run, metrics_of(run)) for arm, run in selection.runs.items()})
        if not curves:
            return
        with st.expander("The flow's loss against its floors"):
            show_figure(
                loss_figure(curves, arms=selection.all_arms, theme=theme()),
                "flow-loss",
                caption="Raw losses of two spaces are not comparable. Dashed: the loss of an ideal "
                "flow that knew only how the latents spread (Gaussian floor), which a trained one "
                "goes below. Dotted: of one that knew all but the encoder's noise; none gets "
                "lower. The right panel is the place between the two, 0 = all is learnt.",
            )


def loss_curves(runs: Mapping[str, tuple[Run, Sequence[Mapping[str, Any]]]]) -> list[LossCurve]:
    """The flow's loss of each run, with the floors of its latents."""
    curves = []
    for run, records in runs.values():
        flow = [r for r in records if r.get("stage") == "flow" and "floor_gaussian" in r]
        if flow:
            curves.append(
                LossCurve(
                    arm=run.arm,
                    seed=run.seed,
                    steps=np.array([r["step"] for r in flow]),
                    loss=np.array([np.nan if r["loss"] is None else r["loss"] for r in flow]),
                    floor_gaussian=flow[-1]["floor_gaussian"],
                    floor_mu=flow[-1]["floor_given_mu"],
                )
            )
    return curves
