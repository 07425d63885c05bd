"""Where on a map each class is densest: the places of its names when one looks from afar."""

from __future__ import annotations

import numpy as np

CELLS, SPREAD = 48, 1.5
MOST_NAMED, FEWEST_POINTS = 14, 5


def class_peaks(
    points: np.ndarray, codes: np.ndarray, num_classes: int
) -> list[tuple[int, float, float]]:
    """The densest place of each of the largest classes, the largest first.

    Counts on a grid over [-1, 1] are smoothed; of equally large classes the first comes first.

    Args:
        points: (N, 2) in [-1, 1].
        codes: (N,) class, -1 = none.
        num_classes: number of classes.
    """
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(codes[codes >= 0], minlength=num_classes)
    largest = np.argsort(-counts, kind="stable")[:MOST_NAMED]
    found = []
    for code in largest[counts[largest] >= FEWEST_POINTS]:
        own = points[codes == code]
        grid = np.histogram2d(own[:, 0], own[:, 1], bins=CELLS, range=[[-1, 1], [-1, 1]])[0]
        column, line = np.unravel_index(gaussian_filter(grid, SPREAD).argmax(), grid.shape)
        x, y = ((np.array([column, line]) + 0.5) / CELLS * 2 - 1).tolist()
        found.append((int(code), x, y))
    return found
