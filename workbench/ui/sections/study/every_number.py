"""Every number of a comparison, one family of measures at a time, and which differences stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import streamlit as st

from workbench.report.plain_words import family_words
from workbench.report.writers import COST_NOTE, cost_rows
from workbench.score.directions import FIDELITY, FIDELITY_NOTE, NATS_NOTE
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.sections.study.score_tables import (
    UNCLEAR,
    contrast_frame,
    family_names,
    metric_names,
    score_frame,
)

MOST_ROWS = 40  # of contrasts that are shown without scrolling; five families make 187
SCROLLING_HEIGHT = 720  # pixels


def choose_family(comparison: Mapping[str, Any]) -> str:
    """A family of measures; both tables follow it."""
    st.subheader("Every number")
    st.caption("One family of measures at a time; both tables below follow the choice.")
    families = family_names(comparison)
    return choose_named("Family of measures", families, "family", words=family_words)


def show_scores(comparison: Mapping[str, Any], family: str) -> None:
    """Each arm's mean and interval, with chance and controls."""
    table = score_frame(comparison, metric_names(comparison, family))
    chance = " *chance* is what a space without the property would score."
    controls = (
        " Human texts, and a language model that writes word by word (*autoregressive*), are "
        "scored alike."
    )
    show_table(
        table,
        f"scores-{family}",
        height="content",
        caption="Mean [95 % interval] of *n* items (prompts, texts or words)."
        + (chance if "chance" in table else "")
        + (controls if "human" in table else "")
        + (f" {NATS_NOTE} {FIDELITY_NOTE}" if FIDELITY in table["code name"].to_list() else ""),
    )


def show_costs(comparison: Mapping[str, Any]) -> None:
    """What each arm and generator cost to train and to write with; nothing without generators."""
    rows = cost_rows(comparison)
    if not rows:
        return
    st.subheader("What each one costs")
    show_table(pd.DataFrame(rows), "costs", height="content", caption=COST_NOTE)


def contrasts_height(rows: int) -> int | Literal["content"]:
    """As high as its rows up to `MOST_ROWS`; a longer table scrolls, and the page stays short."""
    return "content" if rows <= MOST_ROWS else SCROLLING_HEIGHT


def show_contrasts(comparison: Mapping[str, Any], family: str) -> None:
    """Which differences between arms stand out of the noise; the others in grey."""
    if not comparison["contrasts"]:
        return
    st.subheader("What is significant, and what is not")
    only = st.toggle("Hide what cannot be told apart", key="clear", bind="query-params")
    shown = contrast_frame(comparison, family, only_clear=only)
    if not len(shown):
        st.info(f"In the family *{family_words(family)}* no difference stands out of the noise.")
        return
    show_table(
        shown,
        f"contrasts-{family}",
        faded=lambda row: row["verdict"] == UNCLEAR,
        height=contrasts_height(len(shown)),
        column_config={"verdict": st.column_config.TextColumn(width="medium")},
        caption=f"Family *{family_words(family)}*, paired over prompts and seeds; every "
        "arm with the study's first two. A difference "
        "stands when its interval excludes zero and its p, after Holm's correction for looking at "
        "many, is at most .05; grey rows are inside the noise. *higher* and *lower* stand where "
        "neither end is the better one.",
    )
