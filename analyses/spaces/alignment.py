"""How alike two spaces of the same items are: debiased linear CKA, CKNNA, mutual kNN.

All three depend on which rows are paired, so their chance level is the same statistic after the
rows of one space are permuted. CKA sees the whole geometry, mutual kNN only who is near whom, and
CKNNA both: CKA restricted to pairs that are neighbours in both spaces. Hand in held-out items.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.hsic import NeighborKernel, linear_hsic, masked_hsic
from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval
from analyses.statistics.intervals import BootstrapConfig, bootstrap
from analyses.statistics.significance import null_from_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignmentConfig:
    """Settings of the three alignment measures.

    Attributes:
        k: Neighbours per row for CKNNA and mutual kNN, clipped to n - 1.
        num_permutations: Row permutations behind the chance level.
        half_samples: Interval of CKA and CKNNA.
        block_rows: Query rows searched at once.
        seed: Seed of the permutations.
    """

    k: int = 10
    num_permutations: int = 50
    half_samples: HalfSampleConfig = field(default_factory=HalfSampleConfig)
    block_rows: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 2, "k")
        check_at_least(self, 1, "num_permutations", "block_rows")
        check_at_least(self, 0, "seed")

    @property
    def neighbors(self) -> NeighborConfig:
        """Search settings: cosine of centred rows."""
        return NeighborConfig(k=self.k, metric="cosine", block_rows=self.block_rows)


def linear_cka(
    features: np.ndarray, other: np.ndarray, config: AlignmentConfig | None = None
) -> Result:
    """Debiased linear CKA, `HSIC_u(K, L) / sqrt(HSIC_u(K, K) HSIC_u(L, L))` with `K = X X^T`.

    HSIC_u is the unbiased estimator, computed from feature-by-feature products, so that no
    (N, N) matrix is held: O(N F^2) time. Invariant to rotation, translation and scale of either
    space. `detail["biased"]` holds the usual estimate, which is far from 0 for independent
    noise whenever N is not much larger than F.

    Args:
        features: (N, F), N >= 4.
        other: (N, G), the same items in the same order.
        config: Permutations, half samples, seed.

    Returns:
        Score in about [-1, 1], 1 = equal up to rotation and scale, 0 = unrelated.

    Source: Kornblith et al. 2019, arXiv 1905.00414 (CKA); Song et al. 2012 (JMLR 13), eq. 5.
    """
    config = config or AlignmentConfig()
    x, y = _paired(features, other)
    name = "alignment.linear_cka"
    score = _cka(x, y)
    if score is None:
        return undefined(name, "a space has no variance beyond its bias", len(x))
    return _with_permutations(
        name,
        score,
        len(x),
        statistic=lambda rows: _cka(_centre(x[rows]), _centre(y[rows])),
        permuted=lambda order: _cka(x, y[order]),
        config=config,
        detail={"biased": _biased_cka(x, y), "widths": [x.shape[1], y.shape[1]]},
    )


def cknna(features: np.ndarray, other: np.ndarray, config: AlignmentConfig | None = None) -> Result:
    """Centred kernel nearest-neighbour alignment: CKA over pairs near each other in both spaces.

    With unit rows after centring, `K = X X^T`, `L = Y Y^T` and the mask
    `A[i, j] = j in kNN_K(i) and j in kNN_L(i)` (self excluded):
    `a(K, L) / sqrt(a(K, K) a(L, L))` where `a(K, L) = HSIC_u(A * K, A * L)` and A is formed
    anew from the two kernels in each term. Sparse: O(N k) memory, O(N^2 F) time for the search.
    Invariant to rotation, translation and scale of either space. Neighbour masks are one-sided,
    so swapping the spaces changes the score slightly (below .001 on 200 points).

    Args:
        features: (N, F), N >= 4.
        other: (N, G), the same items in the same order.
        config: k, permutations, half samples, seed.

    Returns:
        Score, 1 = equal neighbourhoods and similarities.

    Source: Huh et al. 2024, arXiv 2405.07987 (CKNNA), in the form of its public code (the
    unbiased HSIC of Song et al. 2012, eq. 5). Deviations: rows are centred before they are
    normalised; nothing is added to the denominator, an undefined score says so.
    """
    config = config or AlignmentConfig()
    x, y = _paired(features, other)
    name = "alignment.cknna"
    first, second = NeighborKernel.of(x, config.neighbors), NeighborKernel.of(y, config.neighbors)
    norm = _cknna_norm(first, second)
    if norm is None:
        return undefined(name, "HSIC of a space with itself is not positive", len(x))
    return _with_permutations(
        name,
        masked_hsic(first, second) / norm,
        len(x),
        statistic=lambda rows: _cknna_of(x[rows], y[rows], config),
        # Permuting the rows of a space leaves its HSIC with itself as it is.
        permuted=lambda order: masked_hsic(first, second.permuted(order)) / norm,
        config=config,
        detail={"k": first.k, "requested_k": config.k},
    )


def mutual_knn(
    features: np.ndarray, other: np.ndarray, config: AlignmentConfig | None = None
) -> Result:
    """Mean share of a row's k nearest neighbours (centred cosine) that both spaces agree on.

    `mean_i |kNN_X(i) & kNN_Y(i)| / k`; chance is k / (N - 1) exactly. Invariant to rotation,
    translation and scale of either space. Interval: bootstrap over rows given the neighbours.

    Args:
        features: (N, F), N >= 4.
        other: (N, G), the same items in the same order.
        config: k, block size, seed.

    Returns:
        Score in [0, 1]; `per_item["overlap"]` holds the share for each row.

    Source: Huh et al. 2024, arXiv 2405.07987 (mutual nearest-neighbour metric).
    """
    config = config or AlignmentConfig()
    x, y = _paired(features, other)
    first, second = (nearest_neighbors(space, config.neighbors) for space in (x, y))
    overlap = shared_share(first.indices, second.indices)
    interval = bootstrap(
        overlap, BootstrapConfig(level=config.half_samples.level, seed=config.seed)
    )
    return Result.of(
        "alignment.mutual_knn",
        interval,
        chance=first.k / (len(x) - 1),
        higher_is_better=None,
        detail={"k": first.k, "requested_k": config.k},
        per_item={"overlap": overlap},
    )


def shared_share(indices: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Share of each row's entries in `indices` (N, k) that row i of `other` (N, k) holds too."""
    n, k = indices.shape
    base = n * np.arange(n, dtype=np.int64)[:, None]
    return np.isin(indices + base, other + base).sum(axis=1) / k


def _paired(features: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = check_features(features, min_rows=4)
    y = check_features(other, name="other", min_rows=4)
    if len(x) != len(y):
        raise ValueError(f"other must pair with features row by row, got {len(y)} and {len(x)}")
    return _centre(x), _centre(y)


def _centre(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return wide - wide.mean(axis=0)


def _cka(x: np.ndarray, y: np.ndarray) -> float | None:
    if len(x) < 4:
        return None
    cross, own, other = linear_hsic(x, y), linear_hsic(x, x), linear_hsic(y, y)
    # Rounding leaves about 1e-16 of the Gram matrix's energy where the true value is zero.
    if own <= 1e-12 * _gram_energy(x) or other <= 1e-12 * _gram_energy(y):
        return None
    return cross / math.sqrt(own * other)


def _gram_energy(x: np.ndarray) -> float:
    n = len(x)
    return float(np.square(x.T @ x).sum()) / (n * (n - 3))


def _biased_cka(x: np.ndarray, y: np.ndarray) -> float:
    own, other = np.linalg.norm(x.T @ x), np.linalg.norm(y.T @ y)
    return float(np.square(x.T @ y).sum() / (own * other))


def _cknna_of(x: np.ndarray, y: np.ndarray, config: AlignmentConfig) -> float | None:
    if len(x) < 4:
        return None
    first, second = NeighborKernel.of(x, config.neighbors), NeighborKernel.of(y, config.neighbors)
    norm = _cknna_norm(first, second)
    return None if norm is None else masked_hsic(first, second) / norm


def _cknna_norm(first: NeighborKernel, second: NeighborKernel) -> float | None:
    own, other = masked_hsic(first, first), masked_hsic(second, second)
    return math.sqrt(own * other) if own > 0.0 and other > 0.0 else None


def _with_permutations(
    name: str,
    score: float,
    n: int,
    *,
    statistic: Callable[[np.ndarray], float | None],
    permuted: Callable[[np.ndarray], float | None],
    config: AlignmentConfig,
    detail: dict[str, object],
) -> Result:
    rng = np.random.default_rng(config.seed)
    drawn = [permuted(rng.permutation(n)) for _ in range(config.num_permutations)]
    null = null_from_samples(score, np.array([value for value in drawn if value is not None]))
    interval = half_sample_interval(statistic, score, n, config.half_samples)
    return Result.of(
        name,
        interval,
        chance=null.mean,
        higher_is_better=None,
        detail={**detail, "null_high": null.high, "p_value": null.p_value},
    )
