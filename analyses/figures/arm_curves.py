"""Curves, bars and dots of several arms in one figure, each arm in its own colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

MARKS = ("line-ns-open", "diamond-open", "x-thin-open", "asterisk-open")

Curve = tuple[Sequence[float], Sequence[float | None]]  # x, y


def curves_figure(
    curves: Mapping[str, Curve],
    *,
    arms: Sequence[str],
    x: str,
    y: str,
    theme: Theme,
    chance: Mapping[str, Curve] | None = None,
    level: tuple[str, float] | None = None,
    log_y: bool = False,
) -> go.Figure:
    """One line per arm.

    Args:
        curves: arm -> (x, y).
        arms: all arms of the study, for stable colours.
        x: axis title with its unit.
        y: axis title with its unit.
        theme: light or dark.
        chance: arm -> the same curve without the property; thin and dotted.
        level: a named horizontal line.
        log_y: logarithmic y axis.
    """
    import plotly.graph_objects as go

    styles, figure = arm_styles(list(arms), theme), go.Figure()
    for arm, (xs, ys) in curves.items():
        style = styles[arm]
        figure.add_scatter(
            x=list(xs), y=list(ys), mode="lines+markers", name=plain(arm),
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 6},
        )  # fmt: skip
    for arm, (xs, ys) in (chance or {}).items():
        figure.add_scatter(
            x=list(xs), y=list(ys), mode="lines", name=f"{plain(arm)}, chance",
            line={"color": styles[arm].colour, "dash": "dot", "width": 1},
        )  # fmt: skip
    if level is not None:
        figure.add_hline(
            y=level[1], line={"color": SURFACES[theme].muted, "dash": "dot", "width": 1},
            annotation_text=plain(level[0]), annotation_position="top left",
        )  # fmt: skip
    figure.update_xaxes(title_text=plain(x))
    figure.update_yaxes(title_text=plain(y), type="log" if log_y else "linear")
    return themed(figure, theme, height=360)


def dots_figure(
    results: Mapping[str, Mapping[str, Mapping[str, Any]]],
    *,
    arms: Sequence[str],
    x: str,
    theme: Theme,
    marks: Mapping[str, Mapping[str, float | None]] | None = None,
) -> go.Figure:
    """One row per measure, one dot per arm with its interval; marks stand for chance and baselines.

    Args:
        results: arm -> measure -> result as JSON (`score`, `low`, `high`).
        arms: all arms of the study, for stable colours.
        x: axis title with its unit.
        theme: light or dark.
        marks: name -> measure -> value, drawn in grey.
    """
    import plotly.graph_objects as go

    styles, figure, surface = arm_styles(list(arms), theme), go.Figure(), SURFACES[theme]
    names = list(dict.fromkeys(name for own in results.values() for name in own))
    line = {name: -float(place) for place, name in enumerate(names)}
    for (mark, values), symbol in zip((marks or {}).items(), MARKS, strict=False):
        known = [name for name in names if values.get(name) is not None]
        figure.add_scatter(
            x=[values[name] for name in known],
            y=[line[name] for name in known],
            mode="markers",
            name=plain(mark),
            marker={"color": surface.muted, "symbol": symbol, "size": 12, "line": {"width": 2}},
            hovertemplate="%{x:.4g}",
        )
    for place, (arm, own) in enumerate(results.items()):
        # Arms of one measure lie under each other, so that intervals do not cover each other.
        shift = 0.3 * (place - (len(results) - 1) / 2)
        known = [name for name in names if own.get(name, {}).get("score") is not None]
        figure.add_scatter(
            x=[own[name]["score"] for name in known],
            y=[line[name] - shift for name in known],
            error_x=_bars([own[name] for name in known], styles[arm].colour),
            mode="markers",
            name=plain(arm),
            marker={"color": styles[arm].colour, "symbol": styles[arm].symbol, "size": 9},
            hovertemplate="%{x:.4g}",
        )
    figure.update_yaxes(
        tickvals=list(line.values()),
        ticktext=[plain(name) for name in line],
        range=[0.6 - len(names), 0.6],
        zeroline=False,
        automargin=True,
    )
    figure.update_xaxes(title_text=plain(x))
    return themed(figure, theme, height=130 + 46 * max(1, len(names)))


def _bars(results: Sequence[Mapping[str, Any]], colour: str) -> dict[str, Any]:
    above, below = [], []
    for result in results:
        known = result.get("low") is not None and result.get("high") is not None
        above.append(result["high"] - result["score"] if known else 0.0)
        below.append(result["score"] - result["low"] if known else 0.0)
    return {"array": above, "arrayminus": below, "color": colour, "thickness": 1.5}
