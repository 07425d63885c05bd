"""The arms side by side: a dot with its interval per score and arm, from `comparison.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from analyses.figures.theme import ArmStyle, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Narrower axes would blow differences up that nobody could notice in use.
LEAST_SPAN = 0.02
# The browser's toolbar lies over the uppermost pixels: titles of panels stand below it.
PANELS_TOP = 68
HEADING_CHARACTERS = 20
ROWS_APART, BELOW = 84, 30  # pixels: numbers of the axis, and a heading of three lines

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]


def scores_figure(
    scores: Scores,
    *,
    metrics: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """One small panel per metric: a dot with its interval for each arm, seeds as small dots.

    Args:
        scores: Arm -> metric -> {mean, low, high, seeds}.
        metrics: Panels, in order; all metrics in order of appearance by default.
        titles: Metric -> heading of its panel; the metric's name by default.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    arms, panels = list(scores), _metrics(scores, metrics)
    styles = arm_styles(arms, theme)
    columns = min(3, max(1, len(panels)))
    num_rows = max(1, -(-len(panels) // columns))
    row = 56 + 26 * len(arms)
    drawn = num_rows * row + (num_rows - 1) * ROWS_APART
    figure = make_subplots(
        rows=num_rows,
        cols=columns,
        subplot_titles=[_heading((titles or {}).get(metric, metric)) for metric in panels],
        horizontal_spacing=0.05,
        vertical_spacing=ROWS_APART / drawn if num_rows > 1 else 0,
    )
    figure.update_annotations(font_size=13)
    for place, metric in enumerate(panels):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        for arm in arms:
            _add_dot(figure, arm, scores[arm].get(metric), styles[arm], where)
        # The names stand once per row; every panel has the arms in the same places.
        figure.update_yaxes(
            type="category", range=[-0.5, len(arms) - 0.5], showticklabels=where["col"] == 1,
            categoryorder="array", categoryarray=[plain(a) for a in reversed(arms)], **where,
        )  # fmt: skip
        if (ends := wide_range([scores[arm].get(metric) or {} for arm in arms])) is not None:
            figure.update_xaxes(range=ends, **where)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(tickformat=".4~g", nticks=4, tickangle=0)
    figure.update_yaxes(automargin=True)
    themed(figure, theme, height=PANELS_TOP + BELOW + drawn)
    return figure.update_layout(margin={"t": PANELS_TOP, "b": BELOW})


def _heading(title: str) -> str:
    """A title in short lines, so that narrow panels keep theirs apart."""
    # An arrow never stands alone, and what is in brackets stays together.
    kept = re.sub(r" (?=[↑↓]|[^()]*\))", "\u00a0", title)
    return "<br>".join(plain(line) for line in wrap(kept, HEADING_CHARACTERS))


def wide_range(entries: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """An axis `LEAST_SPAN` wide where all ends lie closer together, so that equal looks equal.

    Shares end at 1, and so does their axis, but for room for the mark.
    """
    ends = [
        entry[k] for entry in entries for k in ("mean", "low", "high") if entry.get(k) is not None
    ]
    if not ends or max(ends) - min(ends) >= LEAST_SPAN:
        return None
    middle = (max(ends) + min(ends)) / 2
    top = middle + LEAST_SPAN / 2
    if max(ends) <= 1.0:
        top = min(top, 1.0 + LEAST_SPAN / 10)
    return [top - LEAST_SPAN, top]


def _metrics(scores: Scores, metrics: Sequence[str] | None) -> list[str]:
    if not scores:
        raise ValueError("scores must hold at least one arm, got none")
    known = list(dict.fromkeys(metric for own in scores.values() for metric in own))
    if metrics is None:
        return known
    unknown = sorted(set(metrics) - set(known))
    if unknown:
        raise ValueError(f"metrics {unknown} are in no arm; known: {known}")
    return list(metrics)


def _cell(entry: Mapping[str, Any] | None) -> str:
    if entry is None or entry.get("mean") is None:
        return "not defined"
    if entry.get("low") is None or entry.get("high") is None:
        return f"{entry['mean']:.4g}"
    return f"{entry['mean']:.4g} [{entry['low']:.4g}, {entry['high']:.4g}]"


def _add_dot(
    figure: go.Figure,
    arm: str,
    entry: Mapping[str, Any] | None,
    style: ArmStyle,
    where: Mapping[str, int],
) -> None:
    if entry is None or entry.get("mean") is None:
        return
    mean, low, high = entry["mean"], entry.get("low"), entry.get("high")
    seeds = [value for value in entry.get("seeds", ()) if value is not None]
    figure.add_scatter(
        x=seeds,
        y=[plain(arm)] * len(seeds),
        mode="markers",
        marker={"color": style.colour, "size": 5, "opacity": 0.45},
        hovertemplate="seed: %{x:.4g}<extra></extra>",
        **where,
    )
    figure.add_scatter(
        x=[mean],
        y=[plain(arm)],
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": 11},
        error_x=None
        if low is None or high is None
        else {"array": [high - mean], "arrayminus": [mean - low], "color": style.colour},
        text=[_cell(entry)],
        hovertemplate="%{text}<extra></extra>",
        **where,
    )
