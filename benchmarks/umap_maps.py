"""A UMAP map in the process that we keep warm, on exact neighbours, against umap-learn itself.

umap-learn compiles itself in every fresh process, and looks for its neighbours approximately. The
first row is what one map costs a user of either, the second what it costs once both are warm. Data:
Gaussian clusters of different spread. One thread and one seed on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from analyses.maps.latent_map import UMAP_PROCESS, LatentMapConfig, umap_layouts
from benchmarks.measuring import Row, Setting, compare, processor_seconds
from benchmarks.processes import python, used_by

WIDTH, CLUSTERS = 64, 30
FULL_ROWS, QUICK_ROWS = 10_000, 600
CHECKED_ROWS = 3_000
LARGEST_LOSS = 0.005
FRESH = """
import sys
import numpy as np
from benchmarks.umap_maps import umap_learn
np.save(sys.argv[2], umap_learn(np.load(sys.argv[1])))
"""


def umap_map(setting: Setting) -> Iterator[Row]:
    """One map, against umap-learn in a fresh process and against umap-learn already warm."""
    rows = clusters(QUICK_ROWS if setting.quick else FULL_ROWS)
    with TemporaryDirectory(prefix="benchmark-") as name:
        source, target = Path(name) / "rows.npy", Path(name) / "coords.npy"
        np.save(source, rows)

        def fresh() -> None:
            python("-c", FRESH, str(source), str(target))

        def ours() -> np.ndarray:
            layouts, failure = umap_layouts([rows], LatentMapConfig())
            if layouts is None:
                raise RuntimeError(failure)
            return layouts[0]

        ours()  # warm from here on, as in the app
        peers = (("in a fresh process", fresh, 4.0), ("warm", lambda: umap_learn(rows), 2.0))
        found = [
            compare(
                ours,
                work,
                repeats=setting.repeats(5),
                warm_up=0 if goal == 4.0 else 1,
                clock=with_the_kept_process,
                fewest=2,
            )
            for _, work, goal in peers
        ]
        gap = trust(rows, np.load(target)) - trust(rows, ours())
    for (peer, _, goal), ratio in zip(peers, found, strict=True):
        yield Row(
            stage=f"UMAP of {len(rows)} x {WIDTH}, process kept warm",
            peer=f"umap-learn {peer}",
            ratio=ratio,
            goal=goal,
            gate=f"trustworthiness lower by {gap:.4f} on a part, at most {LARGEST_LOSS}",
            gate_passed=gap <= LARGEST_LOSS,
        )


def clusters(num_rows: int) -> np.ndarray:
    """Rows (N, 64) of 30 Gaussian clusters, each with its own spread, in a random order."""
    rng = np.random.default_rng(0)
    centres = 2.0 * rng.standard_normal((CLUSTERS, WIDTH))
    spreads = rng.uniform(0.3, 1.5, (CLUSTERS, 1))
    codes = rng.integers(CLUSTERS, size=num_rows)
    noise = rng.standard_normal((num_rows, WIDTH))
    return (centres[codes] + spreads[codes] * noise).astype(np.float32)


def umap_learn(rows: np.ndarray) -> np.ndarray:
    """The package's own map at our settings."""
    import umap

    config = LatentMapConfig()
    reducer = umap.UMAP(
        n_neighbors=config.num_neighbors,
        min_dist=config.min_dist,
        metric=config.metric,
        n_epochs=config.num_epochs,
        random_state=config.seed,
        n_jobs=1,
    )
    return np.asarray(reducer.fit_transform(rows), dtype=np.float32)


def trust(rows: np.ndarray, coords: np.ndarray) -> float:
    """Trustworthiness of the map of the first 3,000 rows among themselves, by scikit-learn."""
    from sklearn.manifold import trustworthiness

    few = slice(CHECKED_ROWS)
    return float(trustworthiness(rows[few], coords[few], n_neighbors=15, metric="cosine"))


def with_the_kept_process() -> float:
    """Processor seconds of this process, its ended children, and the one that is kept warm."""
    process = UMAP_PROCESS._process
    return processor_seconds() + (0.0 if process is None else used_by(process.pid))
