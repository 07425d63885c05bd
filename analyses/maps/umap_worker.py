"""The child process that runs UMAP: folders in by line, coordinates out by file.

numba's thread pool aborts the interpreter when two threads fit UMAP at once, so
`analyses.maps.umap_process` starts this file as a script and never imports it. It compiles UMAP
on a few points, says `warm`, then draws each folder named on its input and says `drawn`. Files
are plain `.npy` (no pickle). Convention: column 0 of the neighbours is the point itself.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

IDLE_S = 1800  # without a map to draw, after which the process ends and frees its memory
_FEW = 32  # points enough for UMAP to compile all it uses


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


def compile_all() -> None:
    """Draw a few points twice, once from PCA and once from a given layout."""
    rows = np.random.default_rng(0).standard_normal((_FEW, 3)).astype(np.float32)
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    indices = np.argsort(distances, axis=1)[:, :5].astype(np.int32)
    near = np.take_along_axis(distances, indices, axis=1)
    settings = {"num_spaces": 2, "min_dist": 0.1, "num_epochs": 2, "seed": 0}
    with tempfile.TemporaryDirectory(prefix="umap-") as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        for space in (0, 1):
            for part, array in (("features", rows), ("indices", indices), ("distances", near)):
                np.save(folder / f"{part}-{space}.npy", array, allow_pickle=False)
        run(folder)


def serve() -> None:
    """Draw every folder named on the input until it closes."""
    compile_all()
    print("warm", flush=True)
    signal.alarm(IDLE_S)
    for line in sys.stdin:
        signal.alarm(0)
        run(Path(line.rstrip("\n")))
        print("drawn", flush=True)
        signal.alarm(IDLE_S)


if __name__ == "__main__":
    serve()
