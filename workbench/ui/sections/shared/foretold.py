"""Which number to look at in place of reconstruction: what the sixteen autoencoders said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.report.plain_words import plain_words
from workbench.report.written_scorecard import SIXTEEN, written_rows
from workbench.score.directions import ACCURACY
from workbench.ui.kit.scan import stamp
from workbench.ui.sections.shared.typical_example import PREFIX

if TYPE_CHECKING:
    from analyses.scorecard.row import Estimate

FALLBACK = "generation.nats_per_token"  # where the study's own score was not measured then


def foretold_sentence(label: str, score: str | None) -> str:
    """How well neighbours of the same kind, and reading back, foretold writing; else empty.

    Args:
        label: the kind that is looked at, such as `pos`.
        score: of writing; one that the sixteen lack gives way to a judge's surprise.
    """
    if not SIXTEEN.is_file():
        return ""
    found = _correlations(stamp(SIXTEEN))
    scored = score if score and (score, ACCURACY) in found else FALLBACK
    near, read = found.get((scored, PREFIX + label)), found.get((scored, ACCURACY))
    if near is None or read is None:
        return ""
    return (
        f"Over sixteen autoencoders this share foretold *{plain_words(scored)}* with rank "
        f"correlation {_text(near)}, tokens read back with {_text(read)} (page Scorecard)."
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _correlations(stamp: tuple[int, int]) -> dict[tuple[str, str], Estimate]:
    return {(row.score, row.predictor): row.spearman for row in written_rows(SIXTEEN)}


def _text(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.2f} (no interval: too few differ)"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"  # as many places as are kept
