"""Rank correlations of every bootstrap resample at once.

A resample is a row of counts (R, n): how often each run was drawn. Midranks, tau-b and the
partial correlation are written in these counts, so that a thousand resamples are a few matrix
products and agree exactly with computing each on its repeated rows.
"""

from __future__ import annotations

import numpy as np


def spearman(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman's rho of every resample, (R,); NaN where a side is constant.

    Args:
        x: (n,) finite.
        y: (n,) finite.
        counts: (R, n) >= 0; a row of ones is the sample itself.

    Source: Spearman 1904; ties share their midrank.
    """
    return _weighted_pearson(_midranks(x, counts), _midranks(y, counts), counts)


def kendall(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of every resample, (R,); NaN where a side is constant.

    Source: Kendall 1945, "The treatment of ties in ranking problems".
    """
    signs_x, signs_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    agree = _pair_sum(signs_x * signs_y, counts)
    pairs = np.sqrt(_pair_sum(signs_x**2, counts) * _pair_sum(signs_y**2, counts))
    return np.divide(agree, pairs, out=np.full(len(counts), np.nan), where=pairs > 0.0)


def partial_spearman(
    x: np.ndarray, y: np.ndarray, control: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Spearman's rho of x and y given `control`, every resample, (R,); NaN where undefined.

    `(r_xy - r_xc r_yc) / sqrt((1 - r_xc^2)(1 - r_yc^2))`; a constant control takes nothing out.
    Undefined where the control orders x or y completely.
    """
    r_xy = spearman(x, y, counts)
    r_xc, r_yc = (np.nan_to_num(spearman(v, control, counts)) for v in (x, y))
    left = (1.0 - r_xc**2) * (1.0 - r_yc**2)
    out = np.full(len(counts), np.nan)
    return np.divide(r_xy - r_xc * r_yc, np.sqrt(np.maximum(left, 0.0)), out=out, where=left > 1e-9)


def _midranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Midrank (R, n) of every run among the drawn ones."""
    below = (x[None, :] < x[:, None]).astype(np.float64)
    equal = (x[None, :] == x[:, None]).astype(np.float64)
    return counts @ (below + 0.5 * equal).T + 0.5


def _weighted_pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    cross, own, other = ((weights * a).sum(axis=1) for a in (x * y, x * x, y * y))
    spread = np.sqrt(own * other)
    return np.divide(cross, spread, out=np.full(len(weights), np.nan), where=spread > 1e-12)


def _pair_sum(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return ((counts @ pairs) * counts).sum(axis=1)
