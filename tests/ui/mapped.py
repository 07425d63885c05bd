"""Maps for tests: a view of synthetic points, and what a packed map holds."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from analyses.figures.linked_maps import Colouring
from workbench.probes.spaces import Items
from workbench.ui.map.view import MapView

CLASSES = ("noun", "verb", "adjective")


def synthetic_view(n: int, spaces: tuple[str, ...] = ("none", "repa"), seed: int = 0) -> MapView:
    """`n` words in clusters of three classes, the same in every space up to a turn and noise."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, len(CLASSES), n)
    centres = np.array([[-3.0, 0.0], [3.0, 1.0], [0.0, -3.0]])
    own = centres[codes] + rng.normal(size=(n, 2))
    coords = {
        space: (own[:, :: 1 if place % 2 == 0 else -1] + rng.normal(scale=0.2, size=(n, 2))).astype(
            np.float32
        )
        for place, space in enumerate(spaces)
    }
    names = [f"{CLASSES[code]} {row % 500}" for row, code in enumerate(codes)]
    texts = [f"text {row // 20} <b>&" for row in range(n)]
    items = Items(coords, names, names, {}, texts, np.arange(n))
    return MapView(
        key=f"synthetic-{n}",
        items=items,
        coords=coords,
        titles={space: f"{space}, trust 0.9" for space in spaces},
        colouring=Colouring(name="class", codes=codes, classes=CLASSES),
        hint="find a word",
        file="map",
        paths={},
        first=0,
    )


def unpacked(packed: bytes) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The header of a packed map, and its columns: `name`, `text`, and (space, axis) ones."""
    (length,) = struct.unpack_from("<I", packed)
    header = json.loads(packed[4 : 4 + length])

    def column(place: list[Any]) -> np.ndarray:
        kind, offset, count = place
        assert offset % 4 == 0
        return np.frombuffer(packed, kind, count, 4 + length + offset)

    columns: dict[Any, np.ndarray] = {name: column(header[name]) for name in ("name", "text")}
    for space in header["spaces"]:
        for axis in ("x", "y", "colour"):
            columns[space["name"], axis] = column(space[axis])
        for place, path in enumerate(space["paths"]):
            points = [column(path[axis]) for axis in ("x", "y")]
            columns[space["name"], "path", place] = np.stack(points, axis=-1).reshape(
                path["moments"], path["words"], 2
            )
    return header, columns


def component(app: AppTest, name: str) -> Any:
    """The protocol message of a component on a page."""
    return next(c.proto for c in app.get("bidi_component") if c.proto.component_name == name)


def packed_map(app: AppTest) -> dict[str, Any]:
    """The header of the map on a page."""
    return unpacked(component(app, "latent_map").bytes)[0]


def flat(folder: Path, timeout_s: float) -> str:
    """In the place of UMAP's process: the first two columns of every space."""
    for file in folder.glob("features-*.npy"):
        np.save(folder / file.name.replace("features", "coords"), np.load(file)[:, :2])
    return ""
