"""Every logged number of a training as a small panel, one line per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

NOT_PLOTTED = ("step", "stage", "skipped", "learning_rate")
MOST_PANELS = 15
COLUMNS = 3
DASHES = ("solid", "dash", "dot")


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
    return figure.update_layout(
        legend={"yref": "paper", "yanchor": "bottom", "y": 1.0 + 0.09 / rows}, margin={"t": 60}
    )


def parts_figure(
    table: pd.DataFrame, parts: Mapping[str, str], *, arms: Sequence[str], theme: Theme
) -> go.Figure:
    """Numbers of one training that belong together, a panel per arm that has any of them.

    Args:
        table: one row per record, with its `arm` and `step`.
        parts: name of a line -> its column; the first is drawn in the arm's colour.
        arms: all arms of the study, for stable colours.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    known = table.dropna(how="all", subset=[c for c in parts.values() if c in table])
    shown = list(dict.fromkeys(known["arm"]))
    styles, grey = arm_styles(list(arms), theme), SURFACES[theme].muted
    figure = make_subplots(
        rows=1, cols=max(1, len(shown)), shared_yaxes=True,
        subplot_titles=[plain(str(arm)) for arm in shown],
    )  # fmt: skip
    for place, arm in enumerate(shown):
        own = known[known["arm"] == arm]
        for number, (name, column) in enumerate(parts.items()):
            if column not in own or own[column].isna().all():
                continue
            line = own[["step", column]].dropna()
            figure.add_scatter(
                x=line["step"].tolist(), y=line[column].tolist(), mode="lines", name=plain(name),
                legendgroup=name, showlegend=place == 0,
                line={"color": grey if number else styles[str(arm)].colour, "dash": DASHES[number]},
                row=1, col=place + 1,
            )  # fmt: skip
    figure.update_xaxes(title_text="step")
    return themed(figure, theme, height=320).update_layout(
        legend={"yref": "paper", "yanchor": "bottom", "y": 1.22}, margin={"t": 70}
    )
