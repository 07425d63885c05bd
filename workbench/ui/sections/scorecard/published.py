"""The scorecard of the documentation, shown while there are too few runs here for one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analyses.figures.foretelling import foretelling_figure
from analyses.scorecard.row import ScorecardRow, by_strength
from workbench.report.plain_words import plain_words, result_words
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure, show_table
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.kit.theme import theme
from workbench.ui.sections.scorecard.predictor_words import (
    drawn_rows,
    predictor_table,
    show_complements,
    worded,
)
from workbench.ui.sections.shared.published_card import published_card
from workbench.ui.sections.study.score_tables import KEY_SCORES

MOST_DRAWN = 12


def show_published() -> str | None:
    """Draw the scorecard of the documentation for a score to choose, which is handed back.

    Nothing where this checkout lacks it. It opens on the first key score that was measured. Drawn
    are the strongest probes and every trivial baseline that has a number.
    """
    with guarded("The scorecard of the documentation"):
        card = published_card()
        if card is None:
            return None
        st.subheader(f"Measured before: {card.num_arms} autoencoders")
        scores = list(dict.fromkeys(row.score for row in card.rows))
        first = next(f"generation.{k}" for k in KEY_SCORES if f"generation.{k}" in scores)
        score = choose_named(
            "How writing is scored", scores, "score", words=plain_words, first=first
        )
        own = card.of(score)
        known = [row for row in own if row.spearman.value is not None]
        probes = sorted((row for row in known if not row.is_baseline), key=by_strength)
        seeds = "one seed" if card.num_seeds == 1 else f"{card.num_seeds} seeds"
        drawn = [*probes[:MOST_DRAWN], *(row for row in known if row.is_baseline)]
        show_figure(
            kept_figure(foretelling_figure, worded(drawn), theme=theme()), "published",
            caption=f"The {MOST_DRAWN} strongest of {len(probes)} probes, and the trivial "
            f"baselines: right of zero foretells.{_without_number(own)} {card.num_runs} runs "
            f"under {seeds}, none of them from here; 95 % intervals over "
            "arms. How to read it and make it anew: docs/evidence/scorecard.md.",
            table=lambda: drawn_rows(own),
        )  # fmt: skip
        if score in card.complements:
            show_complements(card.complements[score])
        with st.expander("Every row"):
            show_table(
                predictor_table(own, score), "published-rows",
                caption="Regret: 0 = the measure picks the best arm, 1 = as a random pick. "
                "Partial: once reconstruction is known. p (Holm): by permuting arms.",
            )  # fmt: skip
        return score
    return None


def _without_number(rows: Sequence[ScorecardRow]) -> str:
    """The baselines that have no correlation, and why; empty if all have one."""
    return "".join(
        f" No number for *{result_words(row.predictor)}*: {row.reason}."
        for row in rows
        if row.is_baseline and row.reason
    )
