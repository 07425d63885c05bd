"""One look for every figure: one colour, dash and symbol per arm, light and dark, escaped text.

Arm colours start from Okabe and Ito's blue and vermillion; the others were searched for distance
in CIELAB under normal vision and simulated protan-, deuter- and tritanopia (Machado et al. 2009)
at a contrast of 3 to the paper. Dash and symbol say the same again for print.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go

Theme = Literal["light", "dark"]

# Standard arms keep their place in every study, whichever others stand beside them.
_STANDARD_ARMS = ("none", "repa", "permuted", "random")
_HUES: Mapping[Theme, tuple[str, ...]] = {
    "light": ("#0072B2", "#D55E00", "#4C4C4C", "#D27996", "#600505", "#470AC1", "#600560"),
    "dark": ("#3A9BD9", "#E8702A", "#6A6A6A", "#EBC5D2", "#A50CF2", "#55F68A", "#A5F20C"),
}
NARROW = 380  # pixels that the smallest window leaves to a figure's axes
LEGEND_LINE, LEGEND_MARK, LEGEND_CHARACTER = 20, 60, 7  # pixels
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross")


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Colours of everything that is not an arm."""

    paper: str
    text: str
    grid: str
    muted: str
    header: str


SURFACES: Mapping[Theme, Surface] = {
    "light": Surface(
        paper="#FFFFFF", text="#1A1A1A", grid="#E3E3E3", muted="#6B6B6B", header="#F0F2F6"
    ),
    "dark": Surface(
        paper="#0E1117", text="#FAFAFA", grid="#2B303B", muted="#9AA0AC", header="#1D222C"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmStyle:
    """How one arm is drawn, everywhere."""

    colour: str
    dash: str
    symbol: str


def arm_styles(arms: Sequence[str], theme: Theme = "light") -> dict[str, ArmStyle]:
    """Style of every arm; give all arms of the study, so that each keeps its own.

    The four standard arms have fixed styles; others, in sorted order, take the remaining ones, then
    those of standard arms that the study lacks. Beyond seven, hues repeat with another symbol.
    """
    hues = _HUES[_known(theme)]
    others = sorted(set(arms) - set(_STANDARD_ARMS))
    places = {arm: place for place, arm in enumerate(_STANDARD_ARMS)}
    spare = [place for arm, place in places.items() if arm not in arms]
    free = chain(range(len(_STANDARD_ARMS), len(hues)), spare, count(len(hues)))
    places |= dict(zip(others, free, strict=False))
    return {arm: _style(places[arm], hues) for arm in arms}


def plain(text: str) -> str:
    """Escape text for plotly, which reads some HTML tags and `$...$` as markup."""
    return html.escape(str(text)).replace("$", "&#36;").replace("\n", " ").replace("\r", " ")


def themed(figure: go.Figure, theme: Theme, *, title: str = "", height: int = 420) -> go.Figure:
    """Apply fonts, surfaces and margins in place and hand the figure back."""
    surface = SURFACES[_known(theme)]
    figure.update_layout(
        title={"text": plain(title), "x": 0.0, "xanchor": "left"},
        height=height,
        paper_bgcolor=surface.paper,
        plot_bgcolor=surface.paper,
        font={"color": surface.text, "family": "system-ui, sans-serif", "size": 13},
        margin={"l": 60, "r": 20, "t": (60 if title else 30) + _legend_room(figure), "b": 50},
        legend={
            "orientation": "h",
            "xanchor": "right",
            "x": 1.0,
            "yref": "container",
            "yanchor": "top",
            "y": 1.0,
        },
    )
    figure.update_xaxes(gridcolor=surface.grid, zerolinecolor=surface.grid)
    figure.update_yaxes(gridcolor=surface.grid, zerolinecolor=surface.grid)
    return figure


def _legend_room(figure: go.Figure) -> int:
    """Pixels that a legend needs beyond its first line, where the figure is narrow.

    The legend hangs from the figure's upper edge. Placed upon the axes, it stayed where the first
    layout had them, and covered marks once the room for their names was known.
    """
    names = [t.name for t in figure.data if t.name and t.showlegend is not False]
    if figure.layout.showlegend is False or len(names) < 2:
        return 0
    widest = LEGEND_MARK + LEGEND_CHARACTER * max(map(len, names))
    in_a_line = max(1, NARROW // widest)
    return LEGEND_LINE * (-(-len(names) // in_a_line) - 1)


def _style(place: int, hues: tuple[str, ...]) -> ArmStyle:
    turn, hue = divmod(place, len(hues))
    return ArmStyle(
        colour=hues[hue],
        dash=_DASHES[(hue + turn) % len(_DASHES)],
        symbol=_SYMBOLS[(hue + turn) % len(_SYMBOLS)] + ("-open" if turn % 2 else ""),
    )


def _known(theme: Theme) -> Theme:
    if theme not in SURFACES:
        raise ValueError(f"theme must be one of {', '.join(SURFACES)}, got {theme!r}")
    return theme
