"""Aligned maps of the twins and their teacher: computed once, stored, the same for every viewer."""

from __future__ import annotations

import math
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from workbench.store.atomic import write_file
from workbench.store.paths import runs_directory
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyses.maps.latent_map import LatentMapConfig

FOLDER = ".maps"
PATIENCE_S = 15  # for which a UMAP is drawn unasked
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Maps:
    """Coordinates of each space and how far they can be trusted.

    Attributes:
        coords: space -> (N, 2) float32.
        trust: space -> (N,) trustworthiness of each point.
        mean_trust: space -> mean trustworthiness; None where it is not defined.
        notice: why the map is not of the method asked for, or empty.
    """

    coords: Mapping[str, np.ndarray]
    trust: Mapping[str, np.ndarray]
    mean_trust: Mapping[str, float | None]
    notice: str


def maps_of(key: str, config: LatentMapConfig, _spaces: Mapping[str, np.ndarray]) -> Maps:
    """Read the stored maps, or draw and store them.

    Args:
        key: names the items.
        config: method and settings.
        _spaces: arm or teacher -> (N, F); no part of the key, which stands for them.
    """
    file = _map_file(key, config)
    if not file.is_file():
        count = len(next(iter(_spaces.values())))
        takes = f"UMAP: about {in_words(umap_seconds(count, len(_spaces)))} on a core to itself …"
        told = "Drawing the maps …" if config.method == "pca" else takes
        # One at a time over all sessions: a map needs gigabytes for a moment, and whoever waited
        # for another's finds it stored.
        with st.spinner(told, show_time=True), _DRAWING:
            if not file.is_file():
                _draw(file, config, _spaces)
    return _read(str(file), stamp(file))


def drawn_or_stop(key: str, method: str, spaces: Mapping[str, np.ndarray]) -> Maps:
    """The stored maps; a UMAP that takes long is drawn when asked for, else the page ends."""
    from analyses.maps.latent_map import UMAP_PROCESS, LatentMapConfig

    config = LatentMapConfig(method="umap" if method == "umap" else "pca")
    seconds = umap_seconds(len(next(iter(spaces.values()))), len(spaces))
    if method == "umap" and seconds > PATIENCE_S and not is_drawn(key, config):
        st.info(
            "UMAP bends the space to keep neighbours together. On a core to itself it takes about "
            f"{in_words(seconds)}, once; the map is stored."
        )
        if not st.button("Draw it", type="primary"):
            UMAP_PROCESS.warm_up()
            st.stop()
    maps = maps_of(key, config, spaces)
    if maps.notice:
        st.warning(maps.notice)
    if method == "pca" and not is_drawn(key, LatentMapConfig(method="umap")):
        UMAP_PROCESS.warm_up()  # while the reader looks at this one
    return maps


def umap_seconds(num_items: int, num_spaces: int) -> float:
    """About how long UMAP takes on a core to itself.

    Eight seconds to compile unless its process is warm, then by item and space, and by pair of
    items for exact neighbours and trust: as measured at 1,000 and 3,972 items of three spaces.
    """
    from analyses.maps.latent_map import UMAP_PROCESS

    start = 0 if UMAP_PROCESS.is_warm else 8
    return start + num_spaces * (4e-4 * num_items + 7.6e-8 * num_items**2)


def in_words(seconds: float) -> str:
    """A duration, rounded up."""
    if seconds < 90:
        return f"{math.ceil(seconds / 5) * 5} seconds"
    return f"{math.ceil(seconds / 60)} minutes"


def is_drawn(key: str, config: LatentMapConfig) -> bool:
    """Whether the map is stored, so that showing it costs nothing."""
    return _map_file(key, config).is_file()


def _map_file(key: str, config: LatentMapConfig) -> Path:
    from workbench.config.settings import fingerprint

    return runs_directory() / FOLDER / f"{key}-{config.method}-{fingerprint(asdict(config))}.npz"


def _draw(file: Path, config: LatentMapConfig, spaces: Mapping[str, np.ndarray]) -> None:
    import io

    from analyses.maps.latent_map import latent_map

    drawn = latent_map(spaces, config)
    arrays: dict[str, np.ndarray] = {"notice": np.array(drawn.notice or "")}
    for space, coords in drawn.coords.items():
        found = drawn.faithfulness[space]
        own = next(
            (v for name, v in found.per_item.items() if name.startswith("trustworthiness_")),
            np.full(len(coords), np.nan),
        )
        score = np.nan if found.score is None else found.score
        arrays |= {
            f"coords/{space}": coords,
            f"trust/{space}": np.asarray(own, np.float32),
            f"score/{space}": np.array(score),
        }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, buffer.getvalue())


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(path: str, stamp: tuple[int, int]) -> Maps:
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    spaces = [name.removeprefix("coords/") for name in arrays if name.startswith("coords/")]
    scores = {space: float(arrays[f"score/{space}"]) for space in spaces}
    return Maps(
        coords={space: arrays[f"coords/{space}"] for space in spaces},
        trust={space: arrays[f"trust/{space}"] for space in spaces},
        mean_trust={s: None if np.isnan(score) else score for s, score in scores.items()},
        notice=str(arrays["notice"]),
    )
