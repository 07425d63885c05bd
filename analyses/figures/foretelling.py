"""How strongly each predictor is correlated with one generation score; baselines stand apart."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from analyses.figures.theme import SURFACES, Theme, plain, themed
from analyses.scorecard.row import ScorecardRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAME_CHARACTERS = 34  # of a line; where the window is narrow, names leave the numbers their room
ORDER = ("foretells the reverse", "not distinguishable", "foretells")  # from below
KINDS = (("probe", "circle", "#56B4E9"), ("trivial baseline", "diamond", "#E69F00"))


def foretelling_figure(rows: Sequence[ScorecardRow], *, theme: Theme = "light") -> go.Figure:
    """Spearman correlations with their intervals, one row per predictor.

    On top what foretells, at the bottom what foretells the reverse, between them what is not told
    from zero.

    Args:
        rows: of one score; those without a correlation are left out.
        theme: light or dark.
    """
    import plotly.graph_objects as go

    known = sorted(
        (row for row in rows if row.spearman.value is not None),
        key=lambda row: (ORDER.index(row.verdict), row.spearman.value or 0.0),
    )
    figure = go.Figure()
    for kind, symbol, colour in KINDS:
        own = [row for row in known if row.is_baseline is (kind == KINDS[1][0])]
        values = [row.spearman.value or 0.0 for row in own]
        lows, highs = (
            [v if end is None else end for v, end in zip(values, ends, strict=True)]
            for ends in ([row.spearman.low for row in own], [row.spearman.high for row in own])
        )
        figure.add_scatter(
            x=values,
            y=[_name(row) for row in own],
            error_x={
                "array": [high - v for high, v in zip(highs, values, strict=True)],
                "arrayminus": [v - low for low, v in zip(lows, values, strict=True)],
                "thickness": 1,
            },
            mode="markers",
            name=kind,
            marker={"symbol": symbol, "size": 10, "color": colour},
        )
    figure.add_vline(x=0.0, line={"color": SURFACES[theme].muted, "width": 1})
    figure.update_xaxes(title_text="rank correlation (Spearman)", range=[-1.05, 1.05], dtick=1)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[_name(row) for row in known],
        automargin=True,
    )
    return themed(figure, theme, height=140 + 36 * max(1, len(known)))


def _name(row: ScorecardRow) -> str:
    return "<br>".join(plain(line) for line in wrap(row.predictor, NAME_CHARACTERS))
