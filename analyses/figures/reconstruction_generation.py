"""Reconstruction against generation: the picture of why the first cannot foretell the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from analyses.figures.arm_scores import wide_range
from analyses.figures.theme import ArmStyle, Theme, arm_styles, plain, themed
from analyses.statistics.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPoint:
    """One run: an arm under one seed."""

    arm: str
    seed: int
    reconstruction: Interval
    generation: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail:
    """One run's generation over its flow's training; its reconstruction stays what it was.

    Attributes:
        arm: name of the arm.
        seed: run seed.
        steps: (n,) steps of the flow's training.
        reconstruction: of the autoencoder that the flow stands on.
        generation: (n,) score at each step.
    """

    arm: str
    seed: int
    steps: np.ndarray
    reconstruction: float
    generation: np.ndarray


def reconstruction_generation_figure(
    points: Sequence[RunPoint],
    *,
    reconstruction_name: str,
    generation_name: str,
    arms: Sequence[str] | None = None,
    theme: Theme = "light",
    trails: Sequence[Trail] = (),
) -> go.Figure:
    """Runs as points with both intervals; runs without either number are named below the plot.

    Args:
        points: One per run.
        reconstruction_name: Axis title, such as "token accuracy".
        generation_name: Axis title, such as "mauve[minilm]".
        arms: All arms of the study, for stable colours; those of `points` by default.
        theme: light or dark.
        trails: checkpoints of these runs, drawn small and open on a thin line.
    """
    import plotly.graph_objects as go

    own = list(dict.fromkeys(point.arm for point in points))
    styles = arm_styles(list(arms or own), theme)
    figure = go.Figure()
    for trail in trails:
        _add_trail(figure, trail, styles[trail.arm])
    missing = []
    for arm in own:
        mine = [point for point in points if point.arm == arm]
        drawn = [p for p in mine if None not in (p.reconstruction.mean, p.generation.mean)]
        missing += [f"{p.arm}/seed-{p.seed}" for p in mine if p not in drawn]
        style = styles[arm]
        figure.add_scatter(
            x=[p.reconstruction.mean for p in drawn],
            y=[p.generation.mean for p in drawn],
            error_x=_bars([p.reconstruction for p in drawn], style.colour),
            error_y=_bars([p.generation for p in drawn], style.colour),
            mode="markers",
            name=plain(arm),
            marker={"color": style.colour, "symbol": style.symbol, "size": 12},
            text=[f"seed {p.seed}" for p in drawn],
            hovertemplate="%{text}: %{x:.5g}, %{y:.4g}",
        )
    figure.update_xaxes(title_text=plain(reconstruction_name), tickformat=".4~g", nticks=6)
    reconstructions = [asdict(point.reconstruction) for point in points]
    if (ends := wide_range(reconstructions)) is not None:
        figure.update_xaxes(range=ends)
    figure.update_yaxes(title_text=plain(generation_name), tickformat=".3~g", nticks=6)
    themed(figure, theme)
    if missing:
        figure.add_annotation(
            text=plain("not defined: " + ", ".join(missing)),
            showarrow=False, xref="paper", yref="paper", x=0.0, y=-0.2,
        )  # fmt: skip
    return figure


def _add_trail(figure: go.Figure, trail: Trail, style: ArmStyle) -> None:
    figure.add_scatter(
        x=[trail.reconstruction] * len(trail.steps),
        y=trail.generation.tolist(),
        mode="lines+markers",
        name=f"{plain(trail.arm)}, checkpoints",
        legendgroup=f"{trail.arm}, checkpoints",
        showlegend=False,
        line={"color": style.colour, "width": 1},
        marker={"color": style.colour, "symbol": "circle-open", "size": 7},
        text=[f"seed {trail.seed}, flow step {step}" for step in trail.steps],
        hovertemplate="%{text}: %{x:.5g}, %{y:.4g}",
    )


def _bars(intervals: Sequence[Interval], colour: str) -> dict[str, object]:
    """Error bars; 0 where a run has no interval."""
    above, below = [], []
    for interval in intervals:
        mean, low, high = interval.mean, interval.low, interval.high
        known = mean is not None and low is not None and high is not None
        above.append(high - mean if known else 0.0)  # type: ignore[operator]
        below.append(mean - low if known else 0.0)  # type: ignore[operator]
    return {"array": above, "arrayminus": below, "color": colour, "thickness": 1}
