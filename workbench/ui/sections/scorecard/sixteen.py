"""The scorecard over sixteen autoencoders, shown while there are too few runs here for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analyses.figures.foretelling import foretelling_figure
from workbench.report.plain_words import plain_words
from workbench.report.written_scorecard import SIXTEEN, written_rows
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure, show_table
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.kit.scan import stamp
from workbench.ui.kit.theme import theme
from workbench.ui.sections.scorecard.predictor_words import drawn_rows, predictor_table, worded
from workbench.ui.sections.study.score_tables import KEY_SCORES

if TYPE_CHECKING:
    from analyses.scorecard.row import ScorecardRow

MOST_DRAWN = 12


@st.cache_resource(max_entries=1, show_spinner=False)
def _rows(stamp: tuple[int, int]) -> list[ScorecardRow]:
    return written_rows(SIXTEEN)


def show_sixteen() -> str | None:
    """Draw what the document holds, for a score to choose, which is handed back.

    Nothing where this checkout lacks the document.

    It opens on the first key score that was measured. Drawn are the strongest probes and every
    trivial baseline, reconstruction among them.
    """
    if not SIXTEEN.is_file():
        return None
    with guarded("The scorecard over sixteen autoencoders"):
        st.subheader("Measured before: sixteen autoencoders")
        rows = _rows(stamp(SIXTEEN))
        scores = list(dict.fromkeys(row.score for row in rows))
        first = next(f"generation.{k}" for k in KEY_SCORES if f"generation.{k}" in scores)
        score = choose_named(
            "How writing is scored", scores, "score", words=plain_words, first=first
        )
        own = [row for row in rows if row.score == score]
        probes = sorted(
            (row for row in own if not row.is_baseline),
            key=lambda row: -abs(row.spearman.value or 0),
        )
        drawn = [*probes[:MOST_DRAWN], *(row for row in own if row.is_baseline)]
        show_figure(
            kept_figure(foretelling_figure, worded(drawn), theme=theme()), "sixteen",
            caption=f"The {MOST_DRAWN} strongest of {len(probes)} probes, and the trivial "
            "baselines: right of zero foretells. Sixteen arms, two seeds, 95 % intervals over "
            "arms; by release 0.1.0, no part of the runs here. How to read it and make it anew: "
            "docs/evidence/scorecard.md.",
            table=lambda: drawn_rows(own),
        )  # fmt: skip
        with st.expander("Every row"):
            show_table(
                predictor_table(own, score), "sixteen-rows",
                caption="Regret: 0 = the measure picks the best arm, 1 = as a random pick. "
                "Partial: once reconstruction is known. p (Holm): by permuting arms.",
            )  # fmt: skip
        return score
    return None
