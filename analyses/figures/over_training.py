"""A measure over training steps: one colour per arm, a band for its interval, chance dotted.

Steps are drawn at log2(1 + step), so that the untrained weights at step 0 have a place and equal
ratios have equal distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

BAND_OPACITY = 0.16


@dataclass(frozen=True, kw_only=True, slots=True)
class CoursePoints:
    """One measure of one run at its milestones.

    Attributes:
        arm: name of the arm.
        seed: run seed.
        steps: (n,) optimiser steps, ascending; 0 is the untrained model.
        score: (n,) values, NaN where not defined.
        low: (n,) lower ends of their intervals, NaN without one.
        high: (n,) upper ends.
        chance: (n,) what a space without the property would score, NaN where there is none.
    """

    arm: str
    seed: int
    steps: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(x) for x in (self.steps, self.score, self.low, self.high, self.chance)}
        if len(lengths) != 1:
            raise ValueError(f"columns of {self.arm}/seed-{self.seed} differ in length: {lengths}")


def over_training_figure(
    points: Sequence[CoursePoints],
    *,
    y: str,
    arms: Sequence[str] | None = None,
    theme: Theme = "light",
    chance_name: str = "chance",
) -> go.Figure:
    """Curves over training steps with interval bands and chance lines.

    Args:
        points: one per run.
        y: axis title with its unit.
        arms: all arms of the study, for stable colours; those of `points` by default.
        theme: light or dark.
        chance_name: what the dotted line is.
    """
    import plotly.graph_objects as go

    figure, shown = go.Figure(), set[str]()
    styles = arm_styles(list(arms or dict.fromkeys(own.arm for own in points)), theme)
    for own in points:
        x, style = _places(own.steps).tolist(), styles[own.arm]
        group = {"legendgroup": own.arm, "showlegend": False}
        _add_band(figure, own, style.colour, group)
        figure.add_scatter(
            x=x, y=_gaps(own.score), mode="lines+markers", name=plain(own.arm),
            **{**group, "showlegend": own.arm not in shown},
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            text=[f"seed {own.seed}, step {step}" for step in own.steps],
            hovertemplate="%{text}: %{y:.4g}",
        )  # fmt: skip
        shown.add(own.arm)
    _add_chance(figure, points, theme, chance_name)
    steps = sorted({int(step) for own in points for step in own.steps})
    figure.update_xaxes(
        title_text="training step (spaced by ratio)",
        tickvals=_places(np.array(steps)).tolist(), ticktext=[str(step) for step in steps],
    )  # fmt: skip
    figure.update_yaxes(title_text=plain(y))
    return themed(figure, theme)


def _add_band(figure: go.Figure, own: CoursePoints, colour: str, group: dict[str, object]) -> None:
    known = np.isfinite(own.low) & np.isfinite(own.high)
    if not known.any():
        return
    x, low, high = _places(own.steps)[known], own.low[known], own.high[known]
    figure.add_scatter(
        x=[*x.tolist(), *x[::-1].tolist()], y=[*high.tolist(), *low[::-1].tolist()],
        fill="toself", fillcolor=colour, opacity=BAND_OPACITY, mode="none", hoverinfo="skip",
        name=f"{plain(own.arm)}, interval", **group,
    )  # fmt: skip


def _add_chance(figure: go.Figure, points: Sequence[CoursePoints], theme: Theme, name: str) -> None:
    """A dotted line for each different chance curve."""
    drawn: list[list[float | None]] = []
    for own in points:
        values = _gaps(own.chance)
        if all(value is None for value in values) or values in drawn:
            continue
        figure.add_scatter(
            x=_places(own.steps).tolist(), y=values, mode="lines", name=plain(name),
            legendgroup="chance", showlegend=not drawn,
            line={"color": SURFACES[theme].muted, "dash": "dot", "width": 1.5},
            hovertemplate=f"{plain(name)}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
        drawn.append(values)


def _places(steps: np.ndarray) -> np.ndarray:
    return np.log2(1.0 + np.asarray(steps, np.float64))


def _gaps(values: np.ndarray) -> list[float | None]:
    """NaN as None, which draws a gap and stays valid JSON."""
    return [float(value) if np.isfinite(value) else None for value in values]
