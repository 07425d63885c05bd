"""Every logged number of a training as a small panel, one line per arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyses.figures.theme import Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

NOT_PLOTTED = ("step", "stage", "skipped", "learning_rate")
MOST_PANELS = 15
COLUMNS = 3


def training_log_figure(table: pd.DataFrame, *, arms: Sequence[str], theme: Theme) -> go.Figure:
    """A panel per number.

    Args:
        table: one row per record, with its `arm` and `step`.
        arms: all arms of the study, for stable colours.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    names = [name for name in table.select_dtypes("number").columns if name not in NOT_PLOTTED]
    names = names[:MOST_PANELS]
    styles, rows = arm_styles(list(arms), theme), max(1, -(-len(names) // COLUMNS))
    figure = make_subplots(
        rows=rows, cols=COLUMNS, subplot_titles=[plain(name) for name in names],
        vertical_spacing=min(0.12, 0.4 / rows),
    )  # fmt: skip
    for place, name in enumerate(names):
        for arm, own in table.groupby("arm", sort=False):
            style = styles[str(arm)]
            known = own[["step", name]].dropna()
            figure.add_scatter(
                x=known["step"].tolist(), y=known[name].tolist(), mode="lines+markers",
                name=plain(str(arm)), legendgroup=str(arm), showlegend=place == 0,
                line={"color": style.colour, "dash": style.dash},
                marker={"symbol": style.symbol, "size": 4},
                row=place // COLUMNS + 1, col=place % COLUMNS + 1,
            )  # fmt: skip
    figure.update_xaxes(title_text="step", row=rows)
    figure = themed(figure, theme, height=90 + 210 * rows)
    return figure.update_layout(legend={"y": 1.0 + 0.09 / rows}, margin={"t": 60})
