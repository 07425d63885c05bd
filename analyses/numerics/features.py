"""Checks and centring that every probe applies to its arguments."""

from __future__ import annotations

import numpy as np

# Rows named in an error message before it says "and more".
_NAMED_ROWS = 5


def check_features(
    features: np.ndarray, *, name: str = "features", min_rows: int = 3
) -> np.ndarray:
    """Return `features` as a (N, F) float array, refused if it cannot be measured on.

    Raises:
        ValueError: If it is not two-dimensional, has fewer than `min_rows` rows or no column,
            or holds NaN or infinite values (their row ids are named).
    """
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} must have shape (N, F) with F >= 1, got {array.shape}")
    if len(array) < min_rows:
        raise ValueError(f"{name} must have at least {min_rows} rows, got {len(array)}")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    if not np.issubdtype(array.dtype, np.floating) or array.dtype == np.float16:
        array = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        rows = ", ".join(map(str, bad[:_NAMED_ROWS])) + (", ..." if bad.size > _NAMED_ROWS else "")
        raise ValueError(f"{name} holds NaN or infinite values in {bad.size} row(s): {rows}")
    return array


def check_labels(labels: np.ndarray, n: int, *, name: str = "labels") -> np.ndarray:
    """Return `labels` as (n,) int64; -1 means missing.

    Raises:
        ValueError: If the shape is not (n,), the type is not integer, or a label is below -1.
    """
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), got {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}")
    if array.size and array.min() < -1:
        raise ValueError(f"{name} must be >= -1 (-1 = missing), got {array.min()}")
    return array.astype(np.int64)


def centred(features: np.ndarray) -> np.ndarray:
    """Subtract the column means, computed in float64, and return float32.

    A common mean much larger than the spread otherwise eats the float32 digits of distances.
    """
    wide = features.astype(np.float64)
    return (wide - wide.mean(axis=0)).astype(np.float32)
