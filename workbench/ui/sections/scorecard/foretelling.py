"""Every probe's rank correlation with a generation score over all runs, as a figure and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.foretelling import foretelling_figure
from workbench.report.plain_words import plain_words
from workbench.report.predictors import MIN_ARMS
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import inline
from workbench.ui.kit.exhibits import show_figure, show_table
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.kit.theme import theme
from workbench.ui.sections.scorecard.all_studies import finished_keys, scorecard_of
from workbench.ui.sections.scorecard.predictor_words import (
    drawn_rows,
    predictor_table,
    show_complements,
    worded,
)
from workbench.ui.sections.scorecard.published import show_published

if TYPE_CHECKING:
    from analyses.scorecard.row import ScorecardRow
    from workbench.study.folders import Study
    from workbench.ui.sections.scorecard.all_studies import Card

MOST_NAMED = 5  # of the studies that are left out


def scorecard_or_stop(study: Study) -> Card:
    """The scorecard of every finished study that ranks together with this one.

    Says so and ends the page where there is none.
    """
    keys, others = finished_keys(study)
    if others:
        st.caption(
            "Left out, because another corpus, judge, flow or sampler gives scores of no common "
            f"order: {', '.join(map(inline, others[:MOST_NAMED]))}"
            + (" and others." if len(others) > MOST_NAMED else ".")
        )
    if not keys:
        st.info("No run is compared yet.", icon=":material/hourglass_top:")
        show_published()
        st.stop()
    with guarded("The scorecard"):
        return scorecard_of(keys)
    st.stop()


def show_foretelling(card: Card) -> tuple[str, list[ScorecardRow]]:
    """Draw and list what foretells a score to choose, which is handed back with the rows.

    With too few arms, say how many are needed, and show the scorecard of the documentation instead.
    """
    from analyses.scorecard.complements import complements

    num_arms = len(set(card.table.arms))
    if num_arms < MIN_ARMS:
        st.info(
            f"{num_arms} arms are compared so far and {MIN_ARMS} are needed: with fewer, every "
            "order of arms is likely by chance.",
            icon=":material/groups:",
        )
        return show_published() or next(iter(card.table.scores)), []
    score = choose_named(
        "How writing is scored", list(card.table.scores), "score", words=plain_words
    )
    rows = [row for row in card.rows if row.score == score]
    show_figure(
        kept_figure(foretelling_figure, worded(rows), theme=theme()),
        "foretelling",
        caption="Spearman correlation with the score over runs; 1 = the better by this measure "
        "(or the larger, where it has no better end) always wrote better. Intervals that hold zero "
        "foretell nothing. Diamonds are trivial baselines: a probe that does not beat them is not "
        "worth its cost.",
        table=lambda: drawn_rows(rows),
    )
    show_table(
        predictor_table(rows, score), "scorecard",
        caption="Regret: how much worse the arm that the measure picks writes, 0 = it picks "
        "the best, 1 = as a random pick. Partial: what is left once reconstruction is known. "
        "p (Holm): chance of so strong a correlation by luck, corrected for all rows.",
    )  # fmt: skip
    show_complements(complements(card.table, card.rows, score))
    return score, rows


def show_runs(card: Card) -> None:
    """Every number of every run."""
    st.subheader("The runs behind it")
    caption = "One row per run: every probe and every score."
    show_table(
        card.runs.round(4), "runs-behind", caption=caption,
        column_config={
            name: st.column_config.Column(plain_words(name), help=name)
            for name in map(str, card.runs) if "." in name
        },
    )  # fmt: skip
