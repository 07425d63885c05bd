"""How far the generator's end points, which the decoder reads, lie from real latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go


def end_points_figure(
    distances: Mapping[str, np.ndarray], *, arms: Sequence[str], theme: Theme = "light"
) -> go.Figure:
    """For every distance, the share of generated words that lie further out than it.

    Args:
        distances: arm -> (N,) distance of each word's end point to the nearest real latent, in
            units of the median distance between real ones; > 0 and finite, others are left out.
        arms: all arms of the study, for stable colours.
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
            name=f"{plain(arm)}, {len(ordered)} words",
            hovertemplate="%{y:.0%} lie further than %{x:.3g}",
        )
    figure.add_vline(x=1.0, line={"color": SURFACES[theme].muted, "dash": "dot"})
    # On a logarithmic axis an annotation stands at the logarithm: log10(1) = 0.
    figure.add_annotation(
        x=0.0, y=1.0, yref="paper", xanchor="left", text=" real latents among themselves",
        showarrow=False,
    )  # fmt: skip
    figure.update_xaxes(
        type="log",
        title_text="distance to the nearest real latent (1 = usual between real ones)",
        tickvals=[2.0**power for power in range(-6, 11)],
        tickformat=".3~g",
    )
    figure.update_yaxes(
        title_text="share of words further than this", tickformat=".0%", range=[0, 1.02]
    )
    return themed(figure, theme, title="The points that the decoder is handed")
