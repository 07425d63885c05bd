"""What a map shows, before it is packed for the browser or drawn as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from analyses.figures.linked_maps import Colouring
    from workbench.probes.spaces import Items

WHOLE = 32767  # an int16 coordinate of 1
MARGIN = 0.94  # of the panel; the rest stays free
MOST_CHARACTERS = 2_000_000  # of all names, as of all texts, that travel to the browser
LEAST_OF_A_NAME = 160


@dataclass(frozen=True)
class Path:
    """Ways of W words from noise to text in one space: (S, W, 2) in the map's own coordinates."""

    prompt: str
    points: np.ndarray


@dataclass(frozen=True)
class MapView:
    """Everything that a map shows.

    Attributes:
        key: names the items and the map; part of cache keys.
        items: in every space, row by row.
        coords: space -> (N, 2).
        titles: space -> heading.
        colouring: of the points.
        hint: in the empty search box.
        file: stem of exported files.
        paths: space -> ways of the same prompts; empty where there are none.
        first: the row whose neighbours are shown at first; None for none.
        other_words: leave out neighbours with the same id as the item.
    """

    key: str
    items: Items
    coords: Mapping[str, np.ndarray]
    titles: Mapping[str, str]
    colouring: Colouring
    hint: str
    file: str
    paths: Mapping[str, list[Path]]
    first: int | None = None
    other_words: bool = False

    def table(self) -> pd.DataFrame:
        """Each item with its coordinates in every space."""
        import pandas as pd

        columns = {
            f"{space} {axis}": xy[:, place]
            for space, xy in self.coords.items()
            for place, axis in enumerate("xy")
        }
        return pd.DataFrame({"item": self.items.names, **columns})

    @cached_property
    def names(self) -> list[str]:
        """N names as the browser gets them; both sides search these, so that they find the same."""
        names = self.items.names
        longest = max(LEAST_OF_A_NAME, MOST_CHARACTERS // max(1, len(names)))
        return [name[:longest] for name in names]

    @cached_property
    def frames(self) -> dict[str, Frame]:
        """Space -> how its coordinates fit the panel."""
        return {space: fitting_frame(points) for space, points in self.coords.items()}

    def whole(self, space: str) -> np.ndarray:
        """(N, 2) int16 coordinates of a space, as the browser gets them."""
        return self.frames[space].whole(self.coords[space])


@dataclass(frozen=True)
class Frame:
    """A shift and one scale for both axes that bring coordinates into [-1, 1]."""

    middle: np.ndarray
    half: float

    def whole(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) as int16; what lies outside the frame stands at its edge."""
        unit = np.clip((points - self.middle) / self.half * MARGIN, -1.0, 1.0)
        return np.rint(unit * WHOLE).astype(np.int16)


def fitting_frame(points: np.ndarray) -> Frame:
    """The frame that just holds all points (N, 2)."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    return Frame((low + high) / 2, float((high - low).max()) / 2 or 1.0)
