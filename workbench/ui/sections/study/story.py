"""The study's finding in sentences and in one picture: reading back beside writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.arm_scores import scores_figure
from workbench.report.ladder import gate
from workbench.report.writers import writers_of
from workbench.score.directions import FIDELITY, FIDELITY_NOTE
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.plain_words import plain_words
from workbench.ui.kit.theme import colours, theme
from workbench.ui.sections.study.score_tables import findings, score_frame

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

FIRST_PANELS = 3  # reconstruction, the headline score, and the next of a fixed order
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
    """The headline scores of every arm, reconstruction first; one row of them until asked."""
    place = st.container()
    whole = len(metrics) <= FIRST_PANELS or st.toggle(
        f"All {len(metrics)} headline scores", key="headlines", bind="query-params"
    )
    drawn = metrics if whole else metrics[:FIRST_PANELS]
    with place:
        show_figure(
            scores_figure(
                writers_of(comparison),
                metrics=drawn,
                titles={name: plain_words(name) for name in drawn},
                theme=theme(),
            ),
            "the-story",
            caption="Left: how well each arm reads back its own latents; then: how well it writes "
            "(arrows: the better end; bars: 95 % intervals over prompts). Reconstruction misleads "
            "where the arms overlap at the left and part in the rest."
            + (f" {FIDELITY_NOTE}" if FIDELITY in drawn else ""),
            table=lambda: score_frame(comparison, metrics),
        )
