"""Measures of two arms sorted by how far the arms part, each in units of its own interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW_PIXELS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """One measure of two arms.

    Attributes:
        name: of the measure.
        first: (score, low, high) of arm A.
        second: of arm B.
        higher_is_better: None where neither end is the better one.
    """

    name: str
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    higher_is_better: bool | None

    @property
    def parts(self) -> bool:
        """Whether the intervals of the two arms do not touch."""
        return self.first[2] < self.second[1] or self.second[2] < self.first[1]

    @property
    def size(self) -> float:
        """B - A over the reach of the two intervals towards each other.

        Beyond 1 in size the intervals no longer touch. 0 where both are points.
        """
        difference = self.second[0] - self.first[0]
        low, high = (self.first, self.second) if difference >= 0 else (self.second, self.first)
        reach = (low[2] - low[0]) + (high[0] - high[1])
        return difference / reach if reach > 0 else 0.0

    def winner(self, arms: tuple[str, str]) -> str | None:
        """The arm at the better end, where the intervals part and an end is better."""
        if not self.parts or self.higher_is_better is None:
            return None
        return arms[int((self.second[0] > self.first[0]) == self.higher_is_better)]


def sorted_gaps(gaps: Sequence[Gap]) -> list[Gap]:
    """Measures that part first, the widest gap first; ties keep their order."""
    return sorted(gaps, key=lambda gap: (not gap.parts, -abs(gap.size)))


def parting_figure(
    gaps: Sequence[Gap], arms: tuple[str, str], *, all_arms: Sequence[str], theme: Theme
) -> go.Figure:
    """A row per measure, the first at the top: how far B lies from A, coloured by who wins.

    Args:
        gaps: in the order in which they are drawn.
        arms: A and B.
        all_arms: of the study, for stable colours.
        theme: light or dark.
    """
    import plotly.graph_objects as go

    figure, surface = go.Figure(), SURFACES[theme]
    styles = arm_styles(list(all_arms), theme)
    groups: Mapping[str, tuple[str, str, list[int]]] = {
        arms[0]: (f"favours {arms[0]}", styles[arms[0]].colour, []),
        arms[1]: (f"favours {arms[1]}", styles[arms[1]].colour, []),
        "": ("parts, with no better end", surface.text, []),
        "-": ("cannot be told apart", surface.grid, []),
    }
    for place, gap in enumerate(gaps):
        groups[gap.winner(arms) or ("" if gap.parts else "-")][2].append(place)
    for name, colour, places in groups.values():
        figure.add_bar(
            x=[gaps[place].size for place in places], y=[-place for place in places],
            orientation="h", name=plain(name), marker={"color": colour}, width=0.6,
            text=[_numbers(gaps[place]) for place in places], textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=[-place for place in range(len(gaps))],
        ticktext=[plain(gap.name) for gap in gaps],
        range=[0.6 - len(gaps), 0.6], automargin=True, zeroline=False,
    )  # fmt: skip
    figure.update_xaxes(
        title_text=plain(f"{arms[1]} − {arms[0]}; dotted: intervals touch"),
        zerolinecolor=surface.muted,
    )
    for edge in (-1, 1):
        figure.add_vline(x=edge, line={"color": surface.muted, "dash": "dot", "width": 1})
    themed(figure, theme, height=110 + ROW_PIXELS * max(1, len(gaps)))
    return figure.update_layout(barmode="overlay")


def _numbers(gap: Gap) -> str:
    ends = [f"{score:.3g} [{low:.3g}, {high:.3g}]" for score, low, high in (gap.first, gap.second)]
    return plain(f"{gap.name}: {ends[0]} and {ends[1]}")
