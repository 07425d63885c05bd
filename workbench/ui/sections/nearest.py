"""Nearest neighbours of one item in each space, and how far the spaces agree about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.spaces import Company, Items
from workbench.probes.typed_text import typed_latents
from workbench.ui.kit.cached import corpus_of, generator_of, opened
from workbench.ui.kit.escape import html_text

if TYPE_CHECKING:
    from workbench.study.folders import Run
    from workbench.ui.kit.sidebar import Selection


def agreement(found: Mapping[str, Company]) -> Counter[int]:
    """Row -> number of spaces that have it among the neighbours."""
    return Counter(row for company in found.values() for row in company.rows)


def company_list(items: Items, company: Company, marks: Counter[int], *, show_text: bool) -> str:
    """Neighbours as an HTML list: agreement marks, the item, its distance, its text if wanted."""
    lines = []
    for row, distance in zip(company.rows, company.distances, strict=True):
        others = marks[row] - 1
        text = (
            f'<br><span style="opacity:.6;font-size:.85em">{html_text(items.texts[row])}</span>'
            if show_text
            else ""
        )
        lines.append(
            f'<li style="margin:.3rem 0"><span title="in {others} other spaces too">'
            f"{'●' * others or '○'}</span> {html_text(items.names[row])} "
            f'<span style="opacity:.6">{distance:.2f}</span>{text}</li>'
        )
    return f'<ol style="padding-left:1.2rem;line-height:1.4">{"".join(lines)}</ol>'


def typed_item(selection: Selection, text: str) -> dict[str, np.ndarray]:
    """A typed sentence as a point of each space: the mean over its tokens.

    Raises:
        InputError: it has no token, or more than the window.
    """
    return opened(selection.study).typed_points(selection.runs, text)


def latents_of(run: Run, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalised posterior means (n, D) of a sentence's n tokens in one arm, and their ids."""
    return typed_latents(generator_of(run), corpus_of(run.study), text)
