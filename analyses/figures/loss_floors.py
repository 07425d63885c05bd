"""Flow loss against its Gaussian floors: raw for each arm, and as a fraction of the band.

Raw losses of two VAEs are not comparable; the right panel is. 1 = the flow knows the covariance
of the latents and nothing else, 0 = it knows `mu` of every position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.theme import SURFACES, ArmStyle, Theme, arm_styles, plain, themed
from analyses.spaces.velocity_floor import band_fraction

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True, slots=True)
class LossCurve:
    """Velocity loss per element of one run.

    Attributes:
        arm: Name of the arm.
        seed: Run seed.
        steps: (n,) optimiser steps.
        loss: (n,) velocity loss at these steps, NaN where nothing was logged.
        floor_gaussian: Loss of the best denoiser that knows the latents' covariance.
        floor_mu: Loss of a denoiser that knows `mu`; None where it was not measured.
    """

    arm: str
    seed: int
    steps: np.ndarray
    loss: np.ndarray
    floor_gaussian: float
    floor_mu: float | None = None

    def __post_init__(self) -> None:
        if np.shape(self.steps) != np.shape(self.loss) or np.ndim(self.loss) != 1:
            raise ValueError(
                f"steps and loss of {self.arm}/seed-{self.seed} must be (n,), "
                f"got {np.shape(self.steps)}, {np.shape(self.loss)}"
            )


def logged_curve(arm: str, seed: int, log: Iterable[Mapping[str, Any]]) -> LossCurve | None:
    """The curve that a run's training log holds; None before the flow has logged its floors."""
    flow = [r for r in log if r.get("stage") == "flow" and "floor_gaussian" in r]
    if not flow:
        return None
    return LossCurve(
        arm=arm, seed=seed, steps=np.array([r["step"] for r in flow]),
        loss=np.array([np.nan if r["loss"] is None else r["loss"] for r in flow]),
        floor_gaussian=flow[-1]["floor_gaussian"], floor_mu=flow[-1]["floor_given_mu"],
    )  # fmt: skip


def loss_figure(
    curves: Sequence[LossCurve], *, arms: Sequence[str] | None = None, theme: Theme = "light"
) -> go.Figure:
    """Raw loss with each run's floors (left) and fraction of the band (right).

    Args:
        curves: One per run.
        arms: All arms of the study, for stable colours; those of `curves` by default.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    styles = arm_styles(list(arms or dict.fromkeys(curve.arm for curve in curves)), theme)
    figure = make_subplots(
        rows=1, cols=2, subplot_titles=("velocity loss, own floors", "fraction of the floor band")
    )
    shown: set[str] = set()
    for curve in curves:
        style = styles[curve.arm]
        _add_line(figure, curve, curve.loss, style, column=1, legend=curve.arm not in shown)
        shown.add(curve.arm)
        _add_floor(figure, curve, curve.floor_gaussian, style.colour, "dash", "Gaussian floor")
        if curve.floor_mu is not None:
            _add_floor(figure, curve, curve.floor_mu, style.colour, "dot", "floor given mu")
            _add_line(figure, curve, _fractions(curve), style, column=2, legend=False)
    for level in (0.0, 1.0):
        figure.add_hline(y=level, line={"color": SURFACES[theme].muted, "width": 1}, row=1, col=2)
    figure.update_xaxes(title_text="step")
    figure.update_yaxes(title_text="loss an element", row=1, col=1)
    themed(figure, theme)
    # Below the plots: above them it would cover the right title, which needs room of its own.
    return figure.update_layout(legend={"yref": "paper", "yanchor": "top", "y": -0.18}, margin_t=48)


def _fractions(curve: LossCurve) -> np.ndarray:
    assert curve.floor_mu is not None
    fractions = [
        band_fraction(float(loss), floor_mu=curve.floor_mu, floor_gaussian=curve.floor_gaussian)
        for loss in curve.loss
    ]
    return np.array(fractions, dtype=np.float64)


def _add_line(
    figure: go.Figure,
    curve: LossCurve,
    values: np.ndarray,
    style: ArmStyle,
    *,
    column: int,
    legend: bool,
) -> None:
    figure.add_scatter(
        x=list(curve.steps),
        y=_gaps(values),
        mode="lines",
        name=plain(curve.arm),
        legendgroup=curve.arm,
        showlegend=legend,
        line={"color": style.colour, "dash": style.dash, "width": 2},
        hovertemplate=f"seed {curve.seed}, step %{{x}}: %{{y:.4f}}",
        row=1,
        col=column,
    )


def _add_floor(
    figure: go.Figure, curve: LossCurve, level: float, colour: str, dash: str, what: str
) -> None:
    if len(curve.steps) == 0:
        return
    figure.add_scatter(
        x=[curve.steps[0], curve.steps[-1]],
        y=[level, level],
        mode="lines",
        legendgroup=curve.arm,
        showlegend=False,
        line={"color": colour, "dash": dash, "width": 1},
        hovertemplate=f"{what}, seed {curve.seed}: %{{y:.4f}}<extra></extra>",
        row=1,
        col=1,
    )


def _gaps(values: np.ndarray) -> list[float | None]:
    """NaN as None, which draws a gap and stays valid JSON."""
    return [float(value) if np.isfinite(value) else None for value in values]
