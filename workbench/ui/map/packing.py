"""A map's points as bytes: a JSON header and columns of numbers, never lists of them.

The browser gets: the header's length as uint32, the header padded to four bytes, the columns. A
column in the header is [type, offset, length]. Words and texts are sent once each; rows point at
them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.linked_maps import palette_of
from analyses.figures.theme import SURFACES, Theme
from workbench.ui.map.class_peaks import class_peaks
from workbench.ui.map.view import MOST_CHARACTERS

if TYPE_CHECKING:
    from workbench.ui.map.look import Look
    from workbench.ui.map.view import MapView, Path

LONGEST_TEXT, LONGEST_PROMPT = 240, 60  # beyond MOST_CHARACTERS, words are shown alone


class Columns:
    """Arrays one after the other, each at a multiple of four bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: np.ndarray) -> list[Any]:
        """Append an array; its type, offset and length."""
        flat = np.ascontiguousarray(array).ravel()
        place = [str(flat.dtype), self._size, len(flat)]
        padded = flat.tobytes() + b"\0" * (-flat.nbytes % 4)
        self._parts.append(padded)
        self._size += len(padded)
        return place

    def joined(self) -> bytes:
        """All of them."""
        return b"".join(self._parts)


def pack(view: MapView, look: Look, theme: Theme) -> bytes:
    """Everything that the component needs for one map."""
    columns = Columns()
    items, surface = view.items, SURFACES[theme]
    palette = palette_of(view.colouring, list(view.coords), theme)
    peaks = {space: _labels(view, space) for space in view.coords}
    shared = {id(places): columns.add(places) for places in palette.places.values()}
    names, name = _once(view.names)
    has_texts = items.texts is not items.names and items.texts != items.names
    without = [""] * len(items.names)
    texts, text = _once([t[:LONGEST_TEXT] for t in items.texts] if has_texts else without)
    if sum(map(len, texts)) > MOST_CHARACTERS:
        texts, text = _once(without)
    header = {
        "key": view.key,
        "file": view.file,
        "hint": view.hint,
        "rows": len(items.names),
        "colours": palette.colours,
        "legend": palette.legend,
        "surface": asdict(surface),
        "spaces": [
            {
                "name": space,
                "title": view.titles[space],
                "labels": peaks[space],
                "colour": shared[id(palette.places[space])],
                **_axes(columns, view.whole(space)),
                "paths": [_path(columns, view, space, p) for p in view.paths.get(space, ())],
            }
            for space in view.coords
        ],
        "names": names,
        "name": columns.add(name),
        "texts": texts,
        "text": columns.add(text),
        "prompts": [path.prompt[:LONGEST_PROMPT] for path in next(iter(view.paths.values()), ())],
        "look": look.for_browser(),
    }
    written = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 4)
    return struct.pack("<I", len(written)) + written + columns.joined()


def _axes(columns: Columns, points: np.ndarray) -> dict[str, list[Any]]:
    return {"x": columns.add(points[..., 0]), "y": columns.add(points[..., 1])}


def _path(columns: Columns, view: MapView, space: str, path: Path) -> dict[str, Any]:
    moments, words = path.points.shape[:2]
    return {
        "moments": moments,
        "words": words,
        **_axes(columns, view.frames[space].whole(path.points)),
    }


def _labels(view: MapView, space: str) -> list[tuple[float, float, str]]:
    """Where each class is densest, the largest class first; nothing for a measure."""
    colouring = view.colouring
    if colouring.codes is None:
        return []
    points = view.whole(space).astype(np.float64) / np.iinfo(np.int16).max
    found = class_peaks(points, np.asarray(colouring.codes), len(colouring.classes))
    return [(round(x, 3), round(y, 3), colouring.classes[code]) for code, x, y in found]


def _once(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Different texts, and the place of each row's text among them."""
    import pandas as pd

    places, known = pd.factorize(np.array(texts, dtype=object))
    kind = np.min_scalar_type(max(0, len(known) - 1))
    return [str(text) for text in known], places.astype(kind)
