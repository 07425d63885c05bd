"""Maps of several spaces beside each other, the same items in each, ready to lasso.

The rows behind each trace stay here, and `rows_of` turns what the browser says was chosen, a trace
and a place in it, into rows whichever space it was made in. Beyond `MOST_POINTS` a seeded sample is
drawn over the density of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analyses.figures.arm_scores import PANELS_TOP
from analyses.figures.theme import SURFACES, Theme, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_POINTS = 50_000
MOST_HOVERED = 5_000  # beyond, texts would be most of the message; classes are shown instead
MOST_BEHIND = 5_000  # grey points behind chosen ones: they show where the cloud is, no more
MOST_CLASSES = 10
HEIGHT = 486
NO_CLASS_OPACITY = 0.35
# Six of Okabe and Ito, the others searched for distance from these, from each other and from the
# grey of what has no class, under the kinds of vision that the arms' colours were searched for.
CLASS_COLOURS = (
    "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00",
    "#0072B2", "#9000FC", "#844824", "#FC1854", "#9078FC",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Colouring:
    """What colours the points.

    Attributes:
        name: of the label or measure.
        codes: (N,) class of each point, -1 = without label; None for a measure.
        classes: name of each code.
        values: space -> (N,) measure; used where `codes` is None.
    """

    name: str
    codes: np.ndarray | None = None
    classes: Sequence[str] = ()
    values: Mapping[str, np.ndarray] | None = None


class DrawnMaps(NamedTuple):
    """A figure and, trace by trace, the rows (M,) of its points; none for a density."""

    figure: go.Figure
    rows: list[np.ndarray]


def maps_figure(
    coords: Mapping[str, np.ndarray],
    titles: Mapping[str, str],
    hover: Sequence[str],
    colouring: Colouring,
    *,
    theme: Theme,
) -> DrawnMaps:
    """Every space as a panel of one figure.

    Args:
        coords: space -> (N, 2), the same items row by row.
        titles: space -> heading.
        hover: N texts; any text, it is escaped.
        colouring: of the points.
        theme: light or dark.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1,
        cols=len(coords),
        subplot_titles=[plain(titles[space]) for space in coords],
        horizontal_spacing=0.03,
    )
    n = len(hover)
    rows, behind = drawn_rows(n), []
    told = "%{text}" if n <= MOST_HOVERED else ""
    for column, (space, points) in enumerate(coords.items(), start=1):
        if n > MOST_HOVERED:
            points = compact(points)
        if n > MOST_POINTS:
            _add_density(figure, points, column, theme)
            behind.append(rows[:0])
        for name, members, marker in _groups(colouring, space, rows, theme, column):
            figure.add_scattergl(
                x=points[members, 0],
                y=points[members, 1],
                text=[plain(hover[row]) for row in members] if n <= MOST_HOVERED else None,
                mode="markers",
                name=plain(name),
                legendgroup=plain(name),
                showlegend=column == 1 and colouring.codes is not None,
                marker={"size": 5 if n < 3000 else 3, **marker},
                hovertemplate=f"{told}<extra>%{{fullData.name}}</extra>",
                row=1,
                col=column,
            )
            behind.append(members)
    return DrawnMaps(_finished(figure, colouring, theme), behind)


def rows_of(points: Iterable[Mapping[str, Any]], drawn: DrawnMaps) -> list[int]:
    """Rows of the points that Streamlit reports as selected, each once, in order."""
    found = {int(drawn.rows[p["curve_number"]][p["point_index"]]) for p in points}
    return sorted(found)


def highlight_figure(
    coords: Mapping[str, np.ndarray],
    titles: Mapping[str, str],
    hover: Sequence[str],
    chosen: Iterable[int],
    *,
    theme: Theme,
) -> go.Figure:
    """The same panels with the chosen rows over a sample of all others in grey."""
    from plotly.subplots import make_subplots

    surface, rows = SURFACES[theme], drawn_rows(len(hover), MOST_BEHIND)
    picked = np.array(sorted(chosen), np.int64)
    figure = make_subplots(
        rows=1,
        cols=len(coords),
        subplot_titles=[plain(titles[space]) for space in coords],
        horizontal_spacing=0.03,
    )
    for column, points in enumerate(coords.values(), start=1):
        where = {"row": 1, "col": column}
        if len(hover) > MOST_HOVERED:
            points = compact(points)
        figure.add_scattergl(
            x=points[rows, 0], y=points[rows, 1], mode="markers",
            marker={"size": 3, "color": surface.grid}, hoverinfo="skip", showlegend=False, **where,
        )  # fmt: skip
        figure.add_scattergl(
            x=points[picked, 0].tolist(), y=points[picked, 1].tolist(), mode="markers",
            marker={"size": 8, "color": "#E69F00", "line": {"color": surface.text, "width": 1}},
            text=[plain(hover[row]) for row in picked],
            hovertemplate="%{text}<extra></extra>", showlegend=False, **where,
        )  # fmt: skip
    _square(figure)
    themed(figure, theme, height=366)
    return figure.update_layout(margin={"t": PANELS_TOP})


def compact(points: np.ndarray) -> np.ndarray:
    """Coordinates as int16, half the bytes: they have no unit, and a screen has fewer pixels."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = np.where(high > low, high - low, 1.0)
    return ((points - low) / reach * 60_000 - 30_000).round().astype(np.int16)


def drawn_rows(n: int, most: int | None = None) -> np.ndarray:
    """Rows that are drawn as points: all, or a seeded sample of `most`, else of `MOST_POINTS`."""
    most = MOST_POINTS if most is None else most
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


def _groups(
    colouring: Colouring, space: str, rows: np.ndarray, theme: Theme, column: int
) -> list[tuple[str, np.ndarray, dict[str, object]]]:
    """Name, rows and marker of each trace of a panel."""
    grey = SURFACES[theme].muted
    if colouring.codes is None:
        assert colouring.values is not None
        return [(colouring.name, rows, _shades(colouring, rows, space, shown=column == 1))]
    codes = colouring.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(colouring.classes))
    common = [c for c in np.argsort(-counts, kind="stable")[:MOST_CLASSES] if counts[c]]
    groups = []
    rest = ~np.isin(codes, common)
    if rest.any():
        name = "other or none" if len(common) < np.count_nonzero(counts) else "no label"
        groups.append((name, rows[rest], {"color": grey, "opacity": NO_CLASS_OPACITY}))
    for place, code in enumerate(common):
        marker = {"color": CLASS_COLOURS[place], "opacity": 0.85}
        groups.append((colouring.classes[code], rows[codes == code], marker))
    return groups


def _shades(
    colouring: Colouring, rows: np.ndarray, space: str, *, shown: bool
) -> dict[str, object]:
    """Marker of points coloured by a measure, on one scale for all spaces.

    A level in 0 to 255 is all that a colour can show, and a quarter of the bytes of a number.
    """
    assert colouring.values is not None
    known = np.concatenate([v[np.isfinite(v)] for v in colouring.values.values()])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    reach = high - low or 1.0
    share = np.nan_to_num((colouring.values[space][rows] - low) / reach)
    ticks = np.linspace(0.0, 1.0, 5)
    return {
        "color": (share * 255).round().astype(np.uint8),
        "cmin": 0,
        "cmax": 255,
        "colorscale": "Viridis",
        "showscale": shown,
        "colorbar": {
            "title": plain(colouring.name),
            "thickness": 10,
            "x": 1.01,
            "tickvals": (255 * ticks).tolist(),
            "ticktext": [f"{low + tick * reach:.3g}" for tick in ticks],
        },
    }


def _add_density(figure: go.Figure, points: np.ndarray, column: int, theme: Theme) -> None:
    """Contours of all points, counted on an 80 x 80 grid here: all that the browser gets."""
    counts, x, y = np.histogram2d(points[:, 0], points[:, 1], bins=80)
    figure.add_contour(
        x=(0.5 * (x[1:] + x[:-1])).tolist(),
        y=(0.5 * (y[1:] + y[:-1])).tolist(),
        z=np.log1p(counts.T).tolist(),
        colorscale=[[0, SURFACES[theme].paper], [1, SURFACES[theme].muted]],
        showscale=False, hoverinfo="skip", contours={"coloring": "fill"}, line={"width": 0},
        row=1, col=column,
    )  # fmt: skip


def _finished(figure: go.Figure, colouring: Colouring, theme: Theme) -> go.Figure:
    _square(figure)
    themed(figure, theme, height=HEIGHT)
    figure.update_layout(
        dragmode="lasso",
        margin={"l": 10, "r": 60 if colouring.codes is None else 10, "t": PANELS_TOP, "b": 70},
        legend={
            "orientation": "h", "y": -0.04, "yanchor": "top", "x": 0, "xanchor": "left",
            "itemsizing": "constant",
        },
    )  # fmt: skip
    return figure


def _square(figure: go.Figure) -> None:
    """No numbers on axes that mean nothing."""
    figure.update_xaxes(showticklabels=False, zeroline=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=False, showgrid=False)
