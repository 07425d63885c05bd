"""The unbiased Hilbert-Schmidt independence criterion, without an (N, N) matrix.

It covers two kernels: linear kernels of centred features, through feature-by-feature products, and
cosine kernels restricted to nearest neighbours, through sparse matrices. Both need the same four
numbers of Song et al. 2012 (JMLR 13, "Feature selection via dependence maximization",
eq. 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors


def linear_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased HSIC of the linear kernels of centred x (N, F) and y (N, G) without (N, N)."""
    n = len(x)
    x_own, y_own = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    x_sums, y_sums = x @ x.sum(axis=0) - x_own, y @ y.sum(axis=0) - y_own
    trace = float(np.square(x.T @ y).sum() - x_own @ y_own)
    return unbiased_hsic(trace, x_sums.sum(), y_sums.sum(), float(x_sums @ y_sums), n)


def unbiased_hsic(trace: float, k_total: float, l_total: float, product: float, n: int) -> float:
    """Song et al. 2012, eq. 5, from tr(KL), 1'K1, 1'L1 and 1'KL1 of kernels without diagonal."""
    value = trace + k_total * l_total / ((n - 1) * (n - 2)) - 2.0 * product / (n - 2)
    return float(value / (n * (n - 3)))


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighborKernel:
    """The k largest off-diagonal centred cosines of every row, as a sparse kernel.

    Attributes:
        rows: (N, F) float64, centred unit rows.
        columns: (N, k) int64, each row's nearest neighbours by cosine, never itself.
        k: Neighbours per row, after clipping.
    """

    rows: np.ndarray
    columns: np.ndarray
    k: int

    @classmethod
    def of(cls, features: np.ndarray, config: NeighborConfig) -> NeighborKernel:
        """Search the neighbours of `features` (N, F); `config.metric` must be cosine."""
        found = nearest_neighbors(features, config)
        rows = features.astype(np.float64)
        rows -= rows.mean(axis=0)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return cls(rows=rows / np.where(norms > 0, norms, 1.0), columns=found.indices, k=found.k)

    def permuted(self, order: np.ndarray) -> NeighborKernel:
        """The kernel of `features[order]`: neighbours are renamed, not searched again."""
        place = np.argsort(order)
        return NeighborKernel(rows=self.rows[order], columns=place[self.columns[order]], k=self.k)

    def cosines(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Cosine of every pair (left[p], right[p]), both (P,)."""
        return np.einsum("pf,pf->p", self.rows[left], self.rows[right])


def masked_hsic(first: NeighborKernel, second: NeighborKernel) -> float:
    """Unbiased HSIC of the two cosine kernels on the intersection of their neighbour masks."""
    from scipy import sparse

    n, k = first.columns.shape
    own = np.repeat(np.arange(n, dtype=np.int64), k)
    base = n * own
    kept = np.isin(first.columns.ravel() + base, second.columns.ravel() + base)
    left, right = own[kept], first.columns.ravel()[kept]
    kernels = [
        sparse.csr_array((kernel.cosines(left, right), (left, right)), shape=(n, n))
        for kernel in (first, second)
    ]
    trace = float(kernels[0].multiply(kernels[1].T).sum())
    product = float(kernels[0].sum(axis=0) @ kernels[1].sum(axis=1))
    return unbiased_hsic(trace, kernels[0].sum(), kernels[1].sum(), product, n)
