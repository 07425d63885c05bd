"""The child process that runs UMAP: arrays in by file, coordinates out by file.

numba's thread pool aborts the interpreter when two threads fit UMAP at once, so
`analyses.maps.latent_map` starts this file as a script and never imports it. Files are
plain `.npy` (no pickle). Convention: column 0 of the neighbours is the point itself.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np


def run(folder: Path) -> None:
    """Lay out every space of `settings.json`, each starting from the first one's layout.

    Args:
        folder: Holds `settings.json` and, for each space i, `features-i.npy` (N, F) float32,
            `indices-i.npy` (N, k) int32 and `distances-i.npy` (N, k) float32.
            `coords-i.npy` (N, 2) float32 is written there.
    """
    import umap

    # Without an approximate search index `transform` is unavailable: it is never used here.
    warnings.filterwarnings("ignore", message=".*transform.*unavailable.*")
    warnings.filterwarnings("ignore", message=".*not an NNDescent object.*")
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    init: str | np.ndarray = "pca"
    for space in range(settings["num_spaces"]):
        features, indices, distances = (
            np.load(folder / f"{part}-{space}.npy", allow_pickle=False)
            for part in ("features", "indices", "distances")
        )
        reducer = umap.UMAP(
            n_neighbors=indices.shape[1],
            min_dist=settings["min_dist"],
            n_epochs=settings["num_epochs"],
            random_state=settings["seed"],
            n_jobs=1,
            init=init,
            precomputed_knn=(indices, distances),
        )
        coords = np.asarray(reducer.fit_transform(features), dtype=np.float32)
        np.save(folder / f"coords-{space}.npy", coords, allow_pickle=False)
        init = coords if space == 0 else init


if __name__ == "__main__":
    run(Path(sys.argv[1]))
