"""How far the generator's end points, which the decoder reads, lie from real latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go


def end_points_figure(
    distances: Mapping[str, np.ndarray],
    *,
    arms: Sequence[str],
    borne: Mapping[str, float] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """For every distance, the share of generated words that lie further out than it.

    Args:
        distances: arm -> (N,) distance of each word's end point to the nearest real latent, in
            units of the median distance between real ones; > 0 and finite, others are left out.
        arms: all arms of the study, for stable colours.
        borne: arm -> the error that its decoder bears, in the same unit; > 0.
        theme: light or dark.

    Raises:
        ValueError: no arm has a distance.
    """
    import plotly.graph_objects as go

    known = {arm: v[np.isfinite(v) & (v > 0)] for arm, v in distances.items()}
    if not any(len(values) for values in known.values()):
        raise ValueError("distances must hold at least one finite number > 0, got none")
    styles, figure = arm_styles(list(arms), theme), go.Figure()
    for arm, values in known.items():
        ordered = np.sort(values)
        figure.add_scatter(
            x=ordered.tolist(),
            y=(1.0 - np.arange(len(ordered)) / max(len(ordered), 1)).tolist(),
            mode="lines",
            line={"shape": "hv", "color": styles[arm].colour, "dash": styles[arm].dash},
            name=plain(arm),
            hovertemplate="%{y:.0%} lie further than %{x:.3g}",
        )
    for arm, error in (borne or {}).items():
        figure.add_scatter(
            x=[error, error], y=[0.0, 1.0], mode="lines", name=f"{plain(arm)} bears",
            line={"color": styles[arm].colour, "dash": "dot", "width": 3},
            hovertemplate="%{x:.3g}",
        )  # fmt: skip
    figure.add_vline(x=1.0, line={"color": SURFACES[theme].muted, "dash": "dot"})
    figure.update_xaxes(
        type="log",
        title_text="distance to real latents",
        tickvals=[2.0**power for power in range(-6, 11)],
        tickformat=".3~g",
    )
    figure.update_yaxes(title_text="words further off", tickformat=".0%", range=[0, 1.02])
    return themed(figure, theme)
