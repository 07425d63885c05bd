"""Two-dimensional maps of twin spaces, laid over each other, with a trust value for every point.

For looking only: never measure on the coordinates. UMAP runs in a child process that is kept, on
exact neighbours found here. Later spaces start from the first one's layout and are aligned to it by
Procrustes. Where UMAP cannot run, the map is PCA and a notice says why.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from analyses.maps.linear_basis import fit_linear_basis, procrustes_aligned
from analyses.maps.map_faithfulness import MapFaithfulnessConfig, map_faithfulness
from analyses.maps.umap_process import UmapProcess
from analyses.numerics.features import check_features
from analyses.numerics.neighbors import Metric, NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_at_least, check_choice, check_positive
from analyses.result import Result

# Below this UMAP's graph says less than a straight projection.
_FEWEST_UMAP_ROWS = 16

Method = Literal["umap", "pca"]

UMAP_PROCESS = UmapProcess(Path(__file__).with_name("umap_worker.py"))


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentMapConfig:
    """Settings of the map.

    Attributes:
        method: `umap` or `pca`.
        num_neighbors: UMAP's neighbourhood, the point itself included.
        min_dist: UMAP's least distance between points of the layout.
        num_epochs: UMAP's optimisation epochs.
        metric: Distance of UMAP's neighbours in the full space.
        timeout_s: Seconds after which UMAP is given up.
        faithfulness: Settings of the per-point faithfulness.
        seed: Seed of the layout.
    """

    method: Method = "umap"
    num_neighbors: int = 15
    min_dist: float = 0.1
    num_epochs: int = 300
    metric: Metric = "cosine"
    timeout_s: float = 900.0
    faithfulness: MapFaithfulnessConfig = field(default_factory=MapFaithfulnessConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "method", Method)
        check_choice(self, "metric", Metric)
        check_at_least(self, 2, "num_neighbors")
        check_at_least(self, 1, "num_epochs")
        check_at_least(self, 0, "seed")
        check_positive(self, "timeout_s")
        if not 0.0 <= self.min_dist <= 1.0:
            raise ValueError(f"min_dist must lie in [0, 1], got {self.min_dist}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentMap:
    """Maps of one or more spaces of the same items.

    Attributes:
        coords: Space name -> (N, 2) float32, laid on the first space's map.
        method: What was drawn: `umap`, or `pca` (asked for, or fallen back to).
        notice: Why the method is not the one asked for; None if it is.
        faithfulness: Space name -> result of `map_faithfulness`.
    """

    coords: Mapping[str, np.ndarray]
    method: str
    notice: str | None
    faithfulness: Mapping[str, Result]


def latent_map(
    spaces: Mapping[str, np.ndarray], config: LatentMapConfig | None = None
) -> LatentMap:
    """Draw every space in two dimensions, aligned, with per-point faithfulness.

    Cost: O(N^2 F) for neighbours and ranks, plus UMAP's own time, and before this process's first
    UMAP some 10 s for numba. PCA answers at once.

    Args:
        spaces: Name -> (N, F_s); the same N items in the same order, widths may differ.
        config: Method, UMAP settings, seed.

    Raises:
        ValueError: On no space, different N, fewer than 3 rows, NaN or infinity.

    Source: McInnes et al. 2018, arXiv 1802.03426 (UMAP); Schönemann 1966 (Procrustes).
    """
    config = config or LatentMapConfig()
    if not spaces:
        raise ValueError("spaces must name at least one array")
    arrays = {name: check_features(rows, name=name) for name, rows in spaces.items()}
    sizes = {name: len(rows) for name, rows in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"spaces must hold the same items, got {sizes} rows")
    layouts, method, notice = _layouts(list(arrays.values()), config)
    reference = layouts[0]
    aligned = [reference, *(procrustes_aligned(layout, reference) for layout in layouts[1:])]
    coords = dict(zip(arrays, aligned, strict=True))
    return LatentMap(
        coords=coords,
        method=method,
        notice=notice,
        faithfulness={
            name: map_faithfulness(arrays[name], coords[name], config.faithfulness)
            for name in arrays
        },
    )


def _layouts(
    arrays: list[np.ndarray], config: LatentMapConfig
) -> tuple[list[np.ndarray], str, str | None]:
    if config.method == "pca":
        return [_pca(rows) for rows in arrays], "pca", None
    n = len(arrays[0])
    if n < _FEWEST_UMAP_ROWS:
        notice = f"PCA in place of UMAP: {n} points are fewer than {_FEWEST_UMAP_ROWS}"
        return [_pca(rows) for rows in arrays], "pca", notice
    layouts, failure = umap_layouts(arrays, config)
    if layouts is None:
        notice = f"PCA in place of UMAP: {failure}"
        return [_pca(rows) for rows in arrays], "pca", notice
    return layouts, "umap", None


def _pca(rows: np.ndarray) -> np.ndarray:
    """First two components (N, 2); zeros for what the space does not have."""
    coords = np.zeros((len(rows), 2), dtype=np.float32)
    if np.ptp(rows, axis=0).any():
        found = fit_linear_basis([rows], min(2, rows.shape[1])).project(rows)
        coords[:, : found.shape[1]] = found
    return coords


def umap_layouts(
    arrays: list[np.ndarray], config: LatentMapConfig
) -> tuple[list[np.ndarray] | None, str]:
    """Layouts of all arrays from one child process, or None and why there are none."""
    with tempfile.TemporaryDirectory(prefix="umap-") as name:
        folder = Path(name)
        for index, rows in enumerate(arrays):
            _write_space(folder, index, rows, config)
        settings = {
            "num_spaces": len(arrays),
            "min_dist": config.min_dist,
            "num_epochs": config.num_epochs,
            "seed": config.seed,
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        failure = UMAP_PROCESS.draw(folder, config.timeout_s)
        if failure:
            return None, failure
        layouts = [
            np.load(folder / f"coords-{index}.npy", allow_pickle=False)
            for index in range(len(arrays))
        ]
    if not all(np.isfinite(layout).all() for layout in layouts):
        return None, "UMAP returned coordinates that are not finite"
    return layouts, ""


def _write_space(folder: Path, index: int, rows: np.ndarray, config: LatentMapConfig) -> None:
    n = len(rows)
    wanted = min(config.num_neighbors, n) - 1
    found = nearest_neighbors(rows, NeighborConfig(k=wanted, metric=config.metric))
    own = np.arange(n)[:, None]
    parts = {
        "features": (rows - rows.mean(axis=0, dtype=np.float64)).astype(np.float32),
        "indices": np.concatenate([own, found.indices], axis=1).astype(np.int32),
        "distances": np.concatenate([np.zeros((n, 1)), found.distances], axis=1).astype(np.float32),
    }
    for name, array in parts.items():
        np.save(folder / f"{name}-{index}.npy", array, allow_pickle=False)
