"""The ladder of known damage on a page: the figure, and what each score is trusted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench.report.ladder import (
    HEADLINE_RULE,
    headline_score,
    ladder_of,
    ladder_readings,
    trusted_rows,
)
from workbench.report.plain_words import plain_names, plain_words
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.theme import theme


def show_ladder(comparison: Mapping[str, Any]) -> None:
    """An expander that draws the ladder once it is open; an older study has none."""
    if not ladder_readings(comparison):
        return
    more = st.expander(
        "Which scores to trust: human text, damaged by known amounts", key="ladder",
        bind="query-params",
    )  # fmt: skip
    if not more.open:
        return
    with more:
        _draw(comparison)


def _draw(comparison: Mapping[str, Any]) -> None:
    names = plain_names(reading.metric for reading in ladder_readings(comparison))
    figure, score = ladder_of(comparison, theme(), names), headline_score(comparison)
    assert figure is not None
    assert score is not None
    show_figure(
        figure,
        "ladder",
        caption="How the held-out texts really go on (*human*), damaged by known amounts, "
        "is scored like any text. Colour is the distance from the human value, as a share of the "
        "row's largest; a score that is blind to a kind of damage stays pale there. The bold "
        "number counts the pairs of "
        "columns that a score puts in the right order with intervals apart; the arms stand right "
        f"of the line. Headline: **{plain_words(score)}**. {HEADLINE_RULE}",
        table=lambda: _rows(comparison, names),
    )


def _rows(comparison: Mapping[str, Any], names: Mapping[str, str]) -> pd.DataFrame:
    """What each score is trusted for, in words and by its code name."""
    rows = [{"measure": names[row["score"]], **row} for row in trusted_rows(comparison)]
    return pd.DataFrame(rows)
