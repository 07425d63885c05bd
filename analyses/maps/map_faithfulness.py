"""How far each point of a map can be trusted: trustworthiness and neighbour preservation.

Trustworthiness falls where the map shows false neighbours; preservation falls where it separates
true ones. Both compare ranks, so the map's scale does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbor_ranks import neighbor_ranks
from analyses.numerics.neighbors import Metric, NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_choice
from analyses.result import Result, undefined
from analyses.spaces.alignment import shared_share
from analyses.statistics.intervals import BootstrapConfig, bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class MapFaithfulnessConfig:
    """Settings of the faithfulness of a map.

    Attributes:
        k: Neighbourhood sizes; the score is taken at the first.
        metric: Distance of neighbours in the full space.
        bootstrap: Interval, over points.
    """

    k: tuple[int, ...] = (15, 50)
    metric: Metric = "cosine"
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_choice(self, "metric", Metric)
        if not self.k or min(self.k) < 1:
            raise ValueError(f"k must hold sizes >= 1, got {self.k}")


def map_faithfulness(
    features: np.ndarray, coords: np.ndarray, config: MapFaithfulnessConfig | None = None
) -> Result:
    """Trustworthiness and neighbour preservation of a map, point by point.

    With U_i the k nearest of point i on the map and r(i, j) the rank of j in the full space:
    trustworthiness `T_i = 1 - 2 / (k (2n - 3k - 1)) sum_{j in U_i} max(0, r(i, j) - k)`, whose
    mean is the usual score; preservation is the share of the k nearest in the full space that
    are among the k nearest on the map. k is clipped to (n - 1) // 2.

    Args:
        features: (N, F), N >= 3.
        coords: (N, C), the map.
        config: k, metric, interval.

    Returns:
        Score in [0, 1]: mean trustworthiness at the first k; chance is that of a random map.
        `per_item` holds `trustworthiness_k` and `preservation_k` for every k.

    Source: Venna and Kaski 2001, "Neighborhood preservation in nonlinear projection methods";
    equal to `sklearn.manifold.trustworthiness` in the mean.
    """
    config = config or MapFaithfulnessConfig()
    rows, points = check_features(features), check_features(coords, name="coords")
    if len(rows) != len(points):
        raise ValueError(f"coords must pair with features, got {len(points)} and {len(rows)} rows")
    n, name = len(rows), "latent_map.trustworthiness"
    sizes = list(dict.fromkeys(min(k, (n - 1) // 2) for k in config.k))
    largest = max(sizes)
    near = nearest_neighbors(rows, NeighborConfig(k=largest, metric=config.metric)).indices
    drawn = nearest_neighbors(points, NeighborConfig(k=largest, metric="euclidean")).indices
    if not np.ptp(points, axis=0).any():
        return undefined(name, "all points of the map coincide", n)
    ranks = neighbor_ranks(rows, drawn, metric=config.metric)
    columns, detail = {}, {}
    for k in sizes:
        room = k * (2 * n - 3 * k - 1)
        columns[f"trustworthiness_{k}"] = 1.0 - 2.0 / room * np.maximum(ranks[:, :k] - k, 0).sum(
            axis=1
        )
        columns[f"preservation_{k}"] = shared_share(near[:, :k], drawn[:, :k])
        detail[f"preservation_chance_{k}"] = k / (n - 1)
    interval = bootstrap(columns[f"trustworthiness_{sizes[0]}"], config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=_random_trustworthiness(n, sizes[0]),
        higher_is_better=True,
        detail={**detail, "k": sizes, **{key: float(v.mean()) for key, v in columns.items()}},
        per_item=columns,
    )


def _random_trustworthiness(n: int, k: int) -> float:
    """Mean of `T_i` where the map's neighbours are drawn at random: ranks uniform on 1 .. n - 1."""
    return 1.0 - (n - 1 - k) * (n - k) / ((n - 1) * (2 * n - 3 * k - 1))
