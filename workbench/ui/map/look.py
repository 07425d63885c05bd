"""What the reader chose on a map: words, a lasso, points, and the item asked about.

It travels in the link, so that a link reopens the same choice. A lasso is kept as its corners, not
as the rows inside: a link stays short however many they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workbench.ui.map.view import MapView

FIND, LASSO, POINTS, ASKED = "find", "lasso", "points", "asked"
IN_THE_LINK = (FIND, LASSO, POINTS, ASKED)
MOST_POINTS, MOST_CORNERS = 200, 60
THOUSANDTHS = 1000


@dataclass(frozen=True)
class Look:
    """A choice on a map.

    Attributes:
        find: words to find; empty for none.
        space: where the lasso was drawn; empty for no lasso.
        polygon: its corners, in [-1, 1] of the panel.
        points: rows chosen one by one.
    """

    find: str = ""
    space: str = ""
    polygon: tuple[tuple[float, float], ...] = ()
    points: tuple[int, ...] = ()

    @classmethod
    def from_browser(cls, state: Mapping[str, Any]) -> Look:
        """What the component reports."""
        lasso = state.get("lasso") or {}
        corners = [(float(x), float(y)) for x, y in lasso.get("polygon", ())][:MOST_CORNERS]
        points = tuple(int(row) for row in state.get("points", ()))
        return cls(str(state.get("find", ""))[:80], str(lasso.get("space", "")), tuple(corners),
                   points)  # fmt: skip

    def for_browser(self) -> dict[str, Any]:
        """What the component opens on."""
        lasso = {"space": self.space, "polygon": [list(corner) for corner in self.polygon]}
        return {
            "find": self.find,
            "lasso": lasso if self.space else None,
            "points": list(self.points),
        }

    def to_link(self) -> dict[str, str]:
        """The parts of an address that say this choice; parts that are empty are left out."""
        corners = [f"{round(v * THOUSANDTHS)}" for corner in self.polygon for v in corner]
        parts = {
            FIND: self.find,
            LASSO: f"{self.space}:{','.join(corners)}" if self.space else "",
            POINTS: ",".join(str(row) for row in self.points[:MOST_POINTS]),
        }
        return {name: text for name, text in parts.items() if text}


def look_of_link(link: Mapping[str, str], view: MapView) -> tuple[Look, list[str]]:
    """The choice that an address asks for, and the names of parts that cannot be read."""
    ignored: list[str] = []
    space: str = ""
    polygon: tuple[tuple[float, float], ...] = ()
    points: tuple[int, ...] = ()
    if LASSO in link:
        try:
            space, polygon = _read_lasso(link[LASSO], view.coords)
        except ValueError:
            ignored.append(LASSO)
    if POINTS in link:
        try:
            points = _read_points(link[POINTS], len(view.items.names))
        except ValueError:
            ignored.append(POINTS)
    return Look(link.get(FIND, "")[:80], space, polygon, points), ignored


def _read_lasso(text: str, spaces: Iterable[str]) -> tuple[str, tuple[tuple[float, float], ...]]:
    space, _, corners = text.rpartition(":")
    values = [int(value) / THOUSANDTHS for value in corners.split(",")]
    polygon = tuple(zip(values[::2], values[1::2], strict=True))
    if space not in spaces or not 3 <= len(polygon) <= MOST_CORNERS:
        raise ValueError(text)
    return space, polygon


def _read_points(text: str, count: int) -> tuple[int, ...]:
    rows = tuple(int(row) for row in text.split(","))[:MOST_POINTS]
    if not all(0 <= row < count for row in rows):
        raise ValueError(text)
    return rows


def asked_of_link(link: Mapping[str, str], count: int) -> int | None:
    """The row whose neighbours an address asks for."""
    text = link.get(ASKED, "")
    return int(text) if text.isdecimal() and int(text) < count else None


def chosen_rows(look: Look, view: MapView) -> list[int]:
    """Rows that a choice holds, by the same rules as in the browser."""
    rows = set(look.points)
    if look.space in view.coords:
        from workbench.ui.map.view import WHOLE

        points = view.whole(look.space).astype(np.float32) / np.float32(WHOLE)
        rows |= set(np.flatnonzero(rows_inside(points, look.polygon)).tolist())
    if wanted := look.find.strip().lower():
        rows |= {row for row, name in enumerate(view.names) if wanted in name.lower()}
    return sorted(rows)


def rows_inside(points: np.ndarray, polygon: Iterable[tuple[float, float]]) -> np.ndarray:
    """(N,) whether points (N, 2) lie inside a polygon by the even-odd rule."""
    corners = np.asarray(list(polygon), np.float64)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    inside = np.zeros(len(points), bool)
    for (xi, yi), (xj, yj) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        if yi == yj:
            continue
        crosses = ((yi > y) != (yj > y)) & (x < (xj - xi) * (y - yi) / (yj - yi) + xi)
        inside ^= crosses
    return inside
