"""Which items moved most, relative to their neighbours, from one space to another.

Two spaces share no axes, so an item's own shift means nothing; its neighbours can be compared.
An item's displacement says how far, in ranks, its neighbours of one space are from it in the
other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbor_ranks import neighbor_ranks
from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.spaces.alignment import shared_share
from analyses.statistics.intervals import BootstrapConfig, bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class DisplacementConfig:
    """Settings of the displacement probe.

    Attributes:
        k: Neighbours per item, clipped to n - 1.
        top: Items listed as most moved.
        block_rows: Rows whose distances are held at once.
        bootstrap: Interval, over items.
    """

    k: int = 10
    top: int = 20
    block_rows: int = 512
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_at_least(self, 1, "k", "top", "block_rows")


def displacement(
    features: np.ndarray, other: np.ndarray, config: DisplacementConfig | None = None
) -> Result:
    """Mean rank at which neighbours of one space stand in the other, symmetric, scaled to [0, 1].

    For item i and k' = min(k, n - 1): `m(i) = mean rank in Y of i's k' neighbours in X`, likewise
    with X and Y swapped; the displacement is the mean of both, less its least value (k' + 1) / 2,
    over its greatest less its least, `n - 1 - k'`. Centred cosine. O(N^2 F), memory in blocks.
    Invariant to rotation, translation and scale of either space.

    Args:
        features: (N, F), N >= 3.
        other: (N, G), the same items in the same order.
        config: k, list length, block size.

    Returns:
        Score in [0, 1], 0 = every item keeps its neighbours; chance is 1/2 exactly.
        `detail["most_moved"]` lists row numbers, most moved first; `["overlap"]` is the mean share
        of neighbours kept, with chance k' / (n - 1); `per_item` holds both for every item.

    Source: the mean relative rank error of Lee and Verleysen 2007, "Nonlinear dimensionality
    reduction", one value per item and symmetric; derived for this project.
    """
    config = config or DisplacementConfig()
    x, y = check_features(features), check_features(other, name="other")
    if len(x) != len(y):
        raise ValueError(f"other must pair with features row by row, got {len(y)} and {len(x)}")
    search = NeighborConfig(k=config.k, metric="cosine")
    first, second = nearest_neighbors(x, search), nearest_neighbors(y, search)
    n, k = len(x), first.k
    if k == n - 1:
        return undefined("displacement", f"all {k} other items are neighbours of each", n)
    ranks = [
        neighbor_ranks(space, found.indices, block_rows=config.block_rows).mean(axis=1)
        for space, found in ((y, first), (x, second))
    ]
    moved = (np.mean(ranks, axis=0) - (k + 1) / 2.0) / (n - 1 - k)
    # Ties may share a rank below what k distinct neighbours would average.
    moved = np.clip(moved, 0.0, 1.0)
    overlap = shared_share(first.indices, second.indices)
    interval = bootstrap(moved, config.bootstrap)
    return Result.of(
        "displacement",
        interval,
        chance=0.5,
        higher_is_better=None,
        detail={
            "k": k,
            "requested_k": config.k,
            "most_moved": np.argsort(-moved, kind="stable")[: config.top],
            "overlap": float(overlap.mean()),
            "overlap_chance": k / (n - 1),
        },
        per_item={"displacement": moved, "overlap": overlap},
    )
