"""The scorecard's table of runs, from all studies on disk, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from analyses.figures.theme import SURFACES, Theme, plain, themed
from workbench.foretelling import foretelling_rows, known_directions, metric_direction
from workbench.ui.engine import comparison_of, read_table
from workbench.ui.scan import found_studies, study_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from analyses.scorecard_row import ScorecardRow


def run_frame() -> pd.DataFrame:
    """One row a run of any compared study, one column a metric; studies by their path."""
    frames = []
    for found in found_studies():
        file = found.directory / "scorecard.parquet"
        if not found.problem and file.is_file():
            frames.append(read_table(file).assign(study=found.name))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def score_names(frame: pd.DataFrame) -> list[str]:
    """Generation scores with a better end."""
    names = [name for name in map(str, frame.columns) if name.startswith("generation.")]
    return [n for n in names if metric_direction(n, {}) is not None] or names


def directions() -> dict[str, bool]:
    """Probe -> whether higher is better, as the studies' own comparisons say."""
    known: dict[str, bool] = {}
    for found in found_studies():
        comparison = None if found.problem else comparison_of(study_of(found))
        known |= known_directions(comparison or {})
    return known


@st.cache_data(max_entries=8, show_spinner="Holding every probe against every score …")
def scorecard_rows(frame: pd.DataFrame) -> list[ScorecardRow]:
    """Every probe with a better end against every score with one."""
    return foretelling_rows(frame, directions())


def scorecard_frame(rows: Sequence[ScorecardRow]) -> pd.DataFrame:
    """Rows for a table, the strongest correlation first."""
    frame = pd.DataFrame([row.flat() for row in rows])
    wanted = ["predictor", "is_baseline", "verdict", "spearman", "spearman_low", "spearman_high",
              "adjusted_p", "regret", "regret_low", "regret_high", "top_k_overlap", "partial",
              "gain", "num_arms", "num_runs", "reason"]  # fmt: skip
    frame = frame[[name for name in wanted if name in frame]]
    order = pd.to_numeric(frame["spearman"], errors="coerce").abs()
    return frame.assign(_order=order).sort_values("_order", ascending=False).drop(columns="_order")


def estimate_figure(rows: Sequence[ScorecardRow], *, theme: Theme) -> go.Figure:
    """Spearman correlations with intervals, baselines as diamonds, undefined ones left out."""
    import plotly.graph_objects as go

    surface, figure = SURFACES[theme], go.Figure()
    known = sorted(
        (row for row in rows if row.spearman.value is not None),
        key=lambda row: row.spearman.value or 0.0,
    )
    for baseline, symbol, colour in ((False, "circle", "#56B4E9"), (True, "diamond", "#E69F00")):
        own = [row for row in known if row.is_baseline is baseline]
        values = [row.spearman.value or 0.0 for row in own]
        lows = [v if row.spearman.low is None else row.spearman.low
                for v, row in zip(values, own, strict=True)]  # fmt: skip
        highs = [v if row.spearman.high is None else row.spearman.high
                 for v, row in zip(values, own, strict=True)]  # fmt: skip
        figure.add_scatter(
            x=values,
            y=[plain(row.predictor) for row in own],
            error_x={
                "array": [h - v for h, v in zip(highs, values, strict=True)],
                "arrayminus": [v - low for v, low in zip(values, lows, strict=True)],
                "thickness": 1,
            },
            mode="markers",
            name="trivial baseline" if baseline else "probe",
            marker={"symbol": symbol, "size": 10, "color": colour},
        )
    figure.add_vline(x=0.0, line={"color": surface.muted, "width": 1})
    figure.update_xaxes(title_text="Spearman correlation with the score", range=[-1.05, 1.05])
    figure.update_yaxes(
        categoryorder="array", categoryarray=[plain(row.predictor) for row in known],
        automargin=True,
    )  # fmt: skip
    return themed(figure, theme, height=140 + 24 * max(1, len(known)))
