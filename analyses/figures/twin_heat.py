"""Heat maps of two arms and their difference: rows are label sets, columns steps or layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyses.figures.arm_scores import PANELS_TOP
from analyses.figures.theme import Theme, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

Grid = Mapping[str, Mapping[str, float | None]]  # row -> column -> value


def twin_heat_figure(
    first: Grid, second: Grid, titles: tuple[str, str], *, x: str, value: str, theme: Theme
) -> go.Figure:
    """A, B and A - B side by side; a cell that one arm lacks stays empty.

    Args:
        first: of arm A.
        second: of arm B.
        titles: names of the arms.
        x: title of the columns.
        value: what the arms' colours measure.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    rows = list(dict.fromkeys([*first, *second]))
    columns = list(
        dict.fromkeys(c for grid in (first, second) for own in grid.values() for c in own)
    )
    figure = make_subplots(
        rows=1, cols=3, shared_yaxes=True, horizontal_spacing=0.06,
        subplot_titles=[plain(titles[0]), plain(titles[1]), plain(f"{titles[0]} − {titles[1]}")],
    )  # fmt: skip
    a, b = (_table(grid, rows, columns) for grid in (first, second))
    difference = [
        [None if u is None or v is None else u - v for u, v in zip(p, q, strict=True)]
        for p, q in zip(a, b, strict=True)
    ]
    known = [abs(v) for line in difference for v in line if v is not None]
    reach = max(known, default=0.0) or 1e-6
    scales: tuple[dict[str, Any], ...] = (
        {"coloraxis": "coloraxis"},
        {"coloraxis": "coloraxis"},
        {"colorscale": "RdBu", "zmid": 0.0, "zmin": -reach, "zmax": reach,
         "colorbar": {"title": "A − B", "thickness": 10, "x": 1.15}},
    )  # fmt: skip
    for column, (table, scale) in enumerate(zip((a, b, difference), scales, strict=True), start=1):
        figure.add_heatmap(
            z=table, x=[plain(c) for c in columns], y=[plain(r) for r in rows],
            hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>", row=1, col=column, **scale,
        )  # fmt: skip
    figure.update_xaxes(type="category", automargin=True, tickangle=-90)
    # One title for the three, with room for the longest name of a column above it.
    figure.update_xaxes(title={"text": plain(x), "standoff": 12}, row=1, col=2)
    figure.update_yaxes(automargin=True)
    themed(figure, theme, height=226 + 34 * len(rows))
    figure.update_layout(
        coloraxis={
            "colorscale": "Viridis",
            "colorbar": {"title": value, "thickness": 10, "x": 1.01},
        },
        margin={"r": 170, "t": PANELS_TOP},
    )
    return figure


def _table(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> list[list[float | None]]:
    return [[grid.get(row, {}).get(column) for column in columns] for row in rows]
