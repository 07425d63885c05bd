"""The study's finding in sentences and in one picture: reading back beside writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.arm_scores import scores_figure
from workbench.report.ladder import gate
from workbench.report.plain_words import plain_words
from workbench.report.writers import writers_of
from workbench.score.directions import FIDELITY, FIDELITY_NOTE
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
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
            f":green[:material/check_circle:] Twins: the same {shared}. "
            f"{_seeds_sentence(len(selection.study.config.seeds))}"
        )


def _seeds_sentence(count: int) -> str:
    """What the intervals cover, so that nobody takes one training for many."""
    if count == 1:
        return "Trained once; intervals over prompts."
    return f"Each was trained under {count} seeds."


def _named(comparison: Mapping[str, Any], *, same: bool) -> list[str]:
    """What the arms share, or do not."""
    return [
        PAIRED.get(name, name.replace("_", " "))
        for name, equal in comparison["paired"].items()
        if equal == same
    ]


def show_story(comparison: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """One row of headline scores of every arm, reconstruction first."""
    _show_scores(
        comparison, metrics[:FIRST_PANELS], "the-story",
        "Arrows: better end; bars: 95 % intervals.",
    )  # fmt: skip


def show_other_headlines(comparison: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """The headline scores that have no place in the first row."""
    if others := metrics[FIRST_PANELS:]:
        st.subheader("The other headline scores")
        _show_scores(comparison, others, "other-headlines", "Bars are 95 % intervals over prompts.")


def _show_scores(
    comparison: Mapping[str, Any], metrics: Sequence[str], name: str, caption: str
) -> None:
    show_figure(
        kept_figure(
            scores_figure,
            writers_of(comparison),
            metrics=tuple(metrics),
            titles={metric: plain_words(metric) for metric in metrics},
            theme=theme(),
        ),
        name,
        caption=caption + (f" {FIDELITY_NOTE}" if FIDELITY in metrics else ""),
        table=lambda: score_frame(comparison, metrics),
    )
