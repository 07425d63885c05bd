"""The ladder of known damage: what every score makes of texts whose damage is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from analyses.figures.theme import SURFACES, Theme, plain, themed
from analyses.texts.ladder import RUNGS, Reading

if TYPE_CHECKING:
    import plotly.graph_objects as go

RUNG_NAMES: Mapping[str, str] = {
    "human": "human",
    "swap_2": "2 % swapped",
    "swap_10": "10 % swapped",
    "swap_30": "30 % swapped",
    "chain_4gram": "4-gram chain",
    "chain_bigram": "bigram chain",
    "shuffled_words": "shuffled",
    "wrong_source": "other prompt's",
    "prompt_copy": "prompt copied",
    "autoregressive": "autoregressive",
}
_ROW_HEIGHT = 30
_NAME_CHARACTERS = 30  # of a line; longer names take two
# White to Okabe and Ito's vermillion: 0 is human text, 1 the worst rung.
_SCALES: Mapping[Theme, tuple[str, str]] = {
    "light": ("#FFFFFF", "#D55E00"),
    "dark": ("#0E1117", "#A8480A"),
}

Scores = Mapping[str, Mapping[str, Any]]


def ladder_figure(
    readings: Sequence[Reading],
    rungs: Mapping[str, Scores],
    *,
    written: Mapping[str, Scores] | None = None,
    titles: Mapping[str, str] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """One row per score, one column per rung: its value, coloured by how far it is from human.

    A cell takes its colour from the distance to the human value, as a share of the row's largest
    over the rungs. The row's name counts the pairs that the score orders rightly.

    Args:
        readings: What the scores make of the ladder, in order.
        rungs: Rung -> metric -> {mean}.
        written: Arm or baseline -> metric -> {mean}, drawn to the right for comparison.
        titles: Metric -> name of its row; the metric's own name by default.
        theme: light or dark.

    Raises:
        ValueError: If there is no reading.
    """
    import plotly.graph_objects as go

    if not readings:
        raise ValueError("readings must hold at least one score, got none")
    columns = [rung for rung in RUNGS if rung in rungs]
    beside = written or {}
    values = [
        [_mean(rungs[rung], reading.metric) for rung in columns]
        + [_mean(scores, reading.metric) for scores in beside.values()]
        for reading in readings
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[_distances(row, len(columns)) for row in values],
            x=[plain(RUNG_NAMES[rung]) for rung in columns] + [plain(name) for name in beside],
            y=[_row_name(reading, titles or {}) for reading in readings],
            text=[[_short(value) for value in row] for row in values],
            texttemplate="%{text}",
            hovertemplate="%{y}<br>%{x}: %{text}<extra></extra>",
            colorscale=[[0.0, _SCALES[theme][0]], [1.0, _SCALES[theme][1]]],
            zmin=0.0,
            zmax=1.0,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    if beside:
        figure.add_vline(x=len(columns) - 0.5, line={"color": SURFACES[theme].text, "width": 2})
    figure.update_xaxes(side="top", tickangle=-35, showgrid=False)
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, tickfont_size=11)
    themed(figure, theme, height=130 + _ROW_HEIGHT * len(readings))
    return figure.update_layout(margin={"t": 100, "b": 20})


def _short(value: float | None) -> str:
    """Three digits, at most four places: a cell is narrow."""
    if value is None:
        return ""
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.01 else f"{value:z.4f}"


def _mean(scores: Scores, metric: str) -> float | None:
    return scores.get(metric, {}).get("mean")


def _row_name(reading: Reading, titles: Mapping[str, str]) -> str:
    pairs = len(reading.right) + len(reading.wrong) + len(reading.unclear)
    lines = wrap(titles.get(reading.metric, reading.metric), _NAME_CHARACTERS)
    name = "<br>".join(plain(line) for line in lines)
    return f"{name} <b>{len(reading.right)}</b> of {pairs}"


def _distances(row: Sequence[float | None], num_rungs: int) -> list[float | None]:
    """Distance of every value to the first (human), as a share of the rungs' largest."""
    human = row[0]
    if human is None:
        return [None] * len(row)
    away = [None if value is None else abs(value - human) for value in row]
    largest = max((value for value in away[:num_rungs] if value is not None), default=0.0)
    return [None if value is None else min(1.0, value / (largest or 1.0)) for value in away]
