"""The child process that runs UMAP: arrays in by file, coordinates out by file.

numba's thread pool aborts the interpreter when two threads fit UMAP at once, so
`analyses.latent_map` starts this file as a script and never imports it. Files are
plain `.npy` (no pickle). Convention: column 0 of the neighbours is the point itself.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np


def run(folder: Path) -> None:
    """Fit one layout from `features.npy`, `indices.npy`, `distances.npy` and `settings.json`.

    Args:
        folder: Where the inputs lie; `init.npy` (N, 2), when present, is the starting layout.
            `coords.npy` (N, 2) float32 is written there.
    """
    import umap

    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    features = np.load(folder / "features.npy", allow_pickle=False)
    indices = np.load(folder / "indices.npy", allow_pickle=False)
    distances = np.load(folder / "distances.npy", allow_pickle=False)
    init_path = folder / "init.npy"
    init = np.load(init_path, allow_pickle=False) if init_path.exists() else settings["init"]
    reducer = umap.UMAP(
        n_neighbors=indices.shape[1],
        min_dist=settings["min_dist"],
        n_epochs=settings["num_epochs"],
        random_state=settings["seed"],
        n_jobs=1,
        init=init,
        precomputed_knn=(indices, distances),
    )
    with warnings.catch_warnings():
        # Without an approximate search index `transform` is unavailable: it is never used here.
        warnings.filterwarnings("ignore", message=".*transform.*unavailable.*")
        coords = reducer.fit_transform(features)
    np.save(folder / "coords.npy", np.asarray(coords, dtype=np.float32), allow_pickle=False)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
