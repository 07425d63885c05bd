"""Continuations side by side: prompt, human reference, and one column per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analyses.figures.theme import SURFACES, Theme, arm_styles, plain, themed

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Characters of a text that a cell shows; whole texts belong in the export.
_CELL_CHARACTERS = 400
# Rough width of a cell in characters, and height of a line in pixels, for the row height.
_LINE_CHARACTERS = 34
_LINE_HEIGHT = 19


def samples_figure(
    prompts: Sequence[str],
    references: Sequence[str],
    continuations: Mapping[str, Sequence[str]],
    *,
    num_samples: int = 8,
    theme: Theme = "light",
) -> go.Figure:
    """The first `num_samples` prompts with the reference and what every arm wrote.

    All text is escaped: tags and formulas in a corpus show as they are. An empty continuation
    says so. Texts beyond 400 characters end in an ellipsis.

    Raises:
        ValueError: If a column has another length than `prompts`.
    """
    import plotly.graph_objects as go

    columns = {"reference": references, **continuations}
    for name, texts in columns.items():
        if len(texts) != len(prompts):
            raise ValueError(f"{name} has {len(texts)} texts for {len(prompts)} prompts")
    surface, styles = SURFACES[theme], arm_styles(list(continuations), theme)
    shown = [list(prompts[:num_samples]), *(list(t[:num_samples]) for t in columns.values())]
    colours = [surface.text, surface.text, *(styles[arm].colour for arm in continuations)]
    lines = max((len(_shortened(t)) for col in shown for t in col), default=0) // _LINE_CHARACTERS
    height = _LINE_HEIGHT * (lines + 2)
    table = go.Table(
        header={
            "values": [f"<b>{plain(name)}</b>" for name in ("prompt", *columns)],
            "fill_color": surface.header,
            "font": {"color": colours},
            "align": "left",
        },
        cells={
            "values": [[plain(_shortened(text)) for text in column] for column in shown],
            "fill_color": surface.paper,
            "font": {"color": surface.text},
            "align": "left",
            "height": height,
        },
    )
    return themed(go.Figure(table), theme, height=90 + height * max(1, len(shown[0])))


def _shortened(text: str) -> str:
    if not text.strip():
        return "(empty)"
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
