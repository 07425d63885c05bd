"""Maps of several spaces beside each other, the same items in each, one colour per item.

The pages draw them in the browser by WebGL. The figure here serves where there is none, and as a
file: it is drawn as SVG, so that beyond `MOST_POINTS` it shows a seeded sample.
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

MOST_POINTS = 3_000
MOST_CLASSES = 10
SHADES = 24
HEIGHT = 486
NO_CLASS_OPACITY = 0.35
RING = "#E69F00"
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


class Palette(NamedTuple):
    """Colours, the place (N,) uint8 of each point's colour in each space, and named colours."""

    colours: list[str]
    places: Mapping[str, np.ndarray]
    legend: list[tuple[str, str]]


class DrawnMaps(NamedTuple):
    """A figure, and the rows (M,) of the points in each of its panels."""

    figure: go.Figure
    rows: np.ndarray


def palette_of(colouring: Colouring, spaces: Sequence[str], theme: Theme) -> Palette:
    """A colour for each point: of its class, or of its measure on one scale for all spaces.

    The first colour, grey, is for what has no class, a class beyond the `MOST_CLASSES` most
    common, or no measure.
    """
    grey = no_class_colour(theme)
    if colouring.codes is None:
        return _shades(colouring, spaces, grey)
    codes = np.asarray(colouring.codes)
    counts = np.bincount(codes[codes >= 0], minlength=len(colouring.classes))
    common = [c for c in np.argsort(-counts, kind="stable")[:MOST_CLASSES] if counts[c]]
    place_of = np.zeros(len(colouring.classes) + 1, np.uint8)
    place_of[common] = np.arange(1, len(common) + 1)  # the last entry serves code -1
    places = place_of[codes]
    legend = [(colouring.classes[c], CLASS_COLOURS[i]) for i, c in enumerate(common)]
    if (places == 0).any():
        is_cut = len(common) < np.count_nonzero(counts)
        legend.append(("other or none" if is_cut else "no label", grey))
    colours = [grey, *CLASS_COLOURS[: len(common)]]
    return Palette(colours, dict.fromkeys(spaces, places), legend)


def no_class_colour(theme: Theme) -> str:
    """The theme's grey, faded into its paper."""
    ink, paper = (
        [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        for colour in (SURFACES[theme].muted, SURFACES[theme].paper)
    )
    mixed = [
        i * NO_CLASS_OPACITY + p * (1 - NO_CLASS_OPACITY) for i, p in zip(ink, paper, strict=True)
    ]
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def _shades(colouring: Colouring, spaces: Sequence[str], grey: str) -> Palette:
    from plotly.colors import sample_colorscale

    assert colouring.values is not None
    known = np.concatenate([v[np.isfinite(v)] for v in colouring.values.values()])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    colours = sample_colorscale("Viridis", SHADES)
    colours = ["#" + "".join(f"{int(c):02x}" for c in one[4:-1].split(",")) for one in colours]
    places = {}
    for space in spaces:
        values = colouring.values[space]
        share = np.nan_to_num((values - low) / ((high - low) or 1.0))
        levels = 1 + np.minimum((share * SHADES).astype(np.int64), SHADES - 1)
        places[space] = np.where(np.isfinite(values), levels, 0).astype(np.uint8)
    ticks = np.linspace(0, SHADES - 1, 5).round().astype(int)
    legend = [
        (f"{low + share * (high - low):.3g}", colours[tick])
        for tick, share in zip(ticks, np.linspace(0, 1, 5), strict=True)
    ]
    return Palette([grey, *colours], places, legend)


def maps_figure(
    coords: Mapping[str, np.ndarray],
    titles: Mapping[str, str],
    hover: Sequence[str],
    colouring: Colouring,
    *,
    theme: Theme,
    chosen: Iterable[int] = (),
) -> DrawnMaps:
    """Every space as a panel of one figure, the chosen rows ringed in all of them.

    Args:
        coords: space -> (N, 2), the same items row by row.
        titles: space -> heading.
        hover: N texts; any text, it is escaped.
        colouring: of the points.
        theme: light or dark.
        chosen: rows that are drawn whatever the sample.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1,
        cols=len(coords),
        subplot_titles=[plain(titles[space]) for space in coords],
        horizontal_spacing=0.03,
    )
    palette = palette_of(colouring, list(coords), theme)
    picked = np.array(sorted(chosen), np.int64)[:MOST_POINTS]
    rows = np.union1d(drawn_rows(len(hover)), picked)
    colours, told = np.array(palette.colours), [plain(hover[row]) for row in rows]
    for column, (space, points) in enumerate(coords.items(), start=1):
        figure.add_scatter(
            x=points[rows, 0], y=points[rows, 1], mode="markers", text=told, showlegend=False,
            marker={"size": 5, "color": colours[palette.places[space][rows]], "opacity": 0.8},
            hovertemplate="%{text}<extra></extra>", row=1, col=column,
        )  # fmt: skip
    for column, points in enumerate(coords.values(), start=1):
        figure.add_scatter(
            x=points[picked, 0], y=points[picked, 1], mode="markers", hoverinfo="skip",
            marker={"size": 9, "color": RING, "line": {"color": SURFACES[theme].text, "width": 1}},
            showlegend=False, row=1, col=column,
        )  # fmt: skip
    for name, colour in palette.legend:
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=plain(name), marker={"color": colour}
        )
    return DrawnMaps(_finished(figure, theme), rows)


def rows_of(points: Iterable[Mapping[str, Any]], drawn: DrawnMaps, panels: int) -> list[int]:
    """Rows of the points that Streamlit reports as selected in one of the panels, in order."""
    return sorted({int(drawn.rows[p["point_index"]]) for p in points if p["curve_number"] < panels})


def drawn_rows(n: int) -> np.ndarray:
    """Rows that are drawn: all, or a seeded sample of `MOST_POINTS`."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_POINTS])


def _finished(figure: go.Figure, theme: Theme) -> go.Figure:
    """No numbers on axes that mean nothing."""
    figure.update_xaxes(showticklabels=False, zeroline=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=False, showgrid=False)
    themed(figure, theme, height=HEIGHT)
    figure.update_layout(
        dragmode="lasso",
        margin={"l": 10, "r": 10, "t": PANELS_TOP, "b": 70},
        legend={
            "orientation": "h",
            "yref": "paper",
            "y": -0.04,
            "yanchor": "top",
            "x": 0,
            "xanchor": "left",
        },
    )
    return figure
