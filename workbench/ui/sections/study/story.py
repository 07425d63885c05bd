"""The study's finding in sentences and in one picture: reading back beside writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.arm_scores import scores_figure
from workbench.report.ladder import gate
from workbench.score.directions import FIDELITY, FIDELITY_NOTE
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.plain_words import plain_words
from workbench.ui.kit.theme import colours, theme
from workbench.ui.sections.study.score_tables import findings, score_frame

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

PAIRED = {"init": "initial weights", "noise": "starting noise"}


def show_findings(selection: Selection, comparison: Mapping[str, Any]) -> None:
    """The comparison of the two arms in sentences, and what makes them twins."""
    if closed := gate(comparison):
        st.warning(closed)
    colour = colours(selection.all_arms)[selection.second]
    sentences = findings(comparison, selection.first, selection.second)
    st.html(blocks([block(line, colour=colour) for line in sentences]))
    if broken := _named(comparison, same=False):
        st.warning(f"The arms are no twins: they differ in {', '.join(broken)}.")
    elif len(comparison["arms"]) > 1:
        shared = ", ".join(_named(comparison, same=True))
        st.caption(
            f":green[:material/check_circle:] Twins share {shared}, by the hashes that both stored."
        )


def _named(comparison: Mapping[str, Any], *, same: bool) -> list[str]:
    """What the arms share, or do not."""
    return [
        PAIRED.get(name, name.replace("_", " "))
        for name, equal in comparison["paired"].items()
        if equal == same
    ]


def show_story(comparison: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """The headline scores of every arm, reconstruction first."""
    show_figure(
        scores_figure(
            comparison["arms"],
            metrics=metrics,
            titles={name: plain_words(name) for name in metrics},
            theme=theme(),
        ),
        "the-story",
        caption="Compare the first panel, how well each arm reads back its own latents, with the "
        "others, how well it writes (arrows point at the better end; bars are 95 % intervals over "
        "prompts). Reconstruction misleads where the arms overlap in the first and part in the "
        "rest; it would be vindicated if the first panel foretold the rest."
        + (f" {FIDELITY_NOTE}" if FIDELITY in metrics else ""),
        table=lambda: score_frame(comparison, metrics),
    )
